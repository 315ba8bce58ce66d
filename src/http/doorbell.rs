//! A waker that is silent while its task is already at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Stands between a connection's driver and the task that polls it.
///
/// hyper's driver and its body wake each other's task over every chunk. Here
/// both are one task, which polls the driver again anyway, so such a wake
/// would only schedule a poll that finds nothing. The bell rings through only
/// when the task has gone to sleep.
#[derive(Debug)]
pub(super) struct Doorbell {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    task: AtomicWaker,
    asleep: AtomicBool,
    rung: AtomicBool,
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, SeqCst);
        if self.asleep.swap(false, SeqCst) {
            self.task.wake();
        }
    }
}

impl Doorbell {
    pub(super) fn new() -> Self {
        let state = Arc::new(State::default());
        Self {
            waker: Waker::from(Arc::clone(&state)),
            state,
        }
    }

    /// Runs `step` with a context that rings this bell, until it is ready or
    /// nothing has rung while it ran.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.state.asleep.store(false, SeqCst);
        loop {
            self.state.rung.store(false, SeqCst);
            if let Poll::Ready(done) = step(&mut Context::from_waker(&self.waker)) {
                return Poll::Ready(done);
            }
            self.state.task.register(cx.waker());
            // Whoever rings first sets `rung`, then looks at `asleep`; here it
            // is the other way round, so that one of the two always sees it.
            self.state.asleep.store(true, SeqCst);
            if !self.state.rung.load(SeqCst) {
                return Poll::Pending;
            }
            self.state.asleep.store(false, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn rings_through_only_while_the_task_sleeps() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&task);
        let bell = Doorbell::new();
        let mut steps = 0;
        let polled = bell.poll(&mut cx, |cx| {
            steps += 1;
            if steps == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((steps, count.0.load(Ordering::SeqCst)), (2, 0));
        bell.waker.wake_by_ref();
        bell.waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(bell.poll(&mut cx, |_| Poll::Ready(())).is_ready());
        bell.waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
