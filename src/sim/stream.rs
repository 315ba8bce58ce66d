//! The way of tokens from the engine to one connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};

use super::app::App;
use super::reply::Reply;
use super::sequence::Emission;

/// Room for one chunk; longer ones grow it.
const CHUNK_BYTES: usize = 1 << 10;

/// Emissions that wait for a connection to take them.
#[derive(Default)]
pub struct Inbox {
    queue: VecDeque<Emission>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Adds an emission and wakes the connection.
    pub fn push(&mut self, emission: Emission) {
        self.queue.push_back(emission);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_pop(&mut self, context: &Context) -> Poll<Emission> {
        match self.queue.pop_front() {
            Some(emission) => Poll::Ready(emission),
            None => {
                self.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A submitted request; dropping it before its end cancels it.
pub struct Ticket {
    pub app: Rc<App>,
    pub id: u64,
    pub inbox: Rc<RefCell<Inbox>>,
    pub finished: bool,
}

impl Ticket {
    fn poll_next(&mut self, context: &Context) -> Poll<Emission> {
        let polled = self.inbox.borrow_mut().poll_pop(context);
        if let Poll::Ready(emission) = &polled {
            self.finished |= emission.finish.is_some();
        }
        polled
    }

    /// Waits for the last emission.
    pub async fn last(mut self) -> Emission {
        loop {
            let emission = poll_fn(|context| self.poll_next(context)).await;
            if self.finished {
                return emission;
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.app.leave(self.id, self.finished);
    }
}

/// The body of an answer.
pub enum Answer {
    Whole(Option<Bytes>),
    Stream(Box<TokenStream>),
}

/// A streamed body.
pub struct TokenStream {
    pub ticket: Ticket,
    pub reply: Reply,
    pub buffer: BytesMut,
    /// Breaks off the connection after this many tokens.
    pub cut_after: Option<u32>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_chunk(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

impl TokenStream {
    /// Everything that has come since the last chunk, in one frame.
    fn poll_chunk(
        &mut self,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ticket.finished {
            return Poll::Ready(None);
        }
        while let Poll::Ready(emission) = self.ticket.poll_next(context) {
            if self.cut_after.is_some_and(|cut| emission.generated > cut) {
                let cut = io::Error::other("planned cut of the stream");
                return Poll::Ready(Some(Err(cut)));
            }
            self.buffer.reserve(CHUNK_BYTES);
            self.reply.stream(&emission, &mut self.buffer);
            if self.ticket.finished {
                break;
            }
        }
        if self.buffer.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(self.buffer.split().freeze()))))
    }
}
