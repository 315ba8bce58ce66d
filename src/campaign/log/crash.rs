//! The points of an append at which a test kills the process.

/// Between two of an append's effects on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    BeforeHead,
    AfterHead,
    HalfLine,
    WholeLine,
    Synced,
}

#[cfg(not(test))]
pub(super) fn point(_: Point) {}

#[cfg(test)]
pub(super) use armed::{ALL, arm, point};

#[cfg(test)]
mod armed {
    use std::cell::Cell;

    use super::Point;

    pub const ALL: [Point; 5] = [
        Point::BeforeHead,
        Point::AfterHead,
        Point::HalfLine,
        Point::WholeLine,
        Point::Synced,
    ];

    thread_local! {
        static ARMED: Cell<Option<Point>> = const { Cell::new(None) };
    }

    /// From now on this process dies by SIGKILL where this thread reaches `at`.
    pub fn arm(at: Point) {
        ARMED.set(Some(at));
    }

    pub fn point(here: Point) {
        if ARMED.get() == Some(here) {
            let _ = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::SIGKILL);
            loop {
                std::thread::park();
            }
        }
    }
}
