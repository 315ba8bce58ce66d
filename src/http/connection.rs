//! One kept-alive connection whose protocol work is done by the task that waits for it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::doorbell::Doorbell;

type Driver = http1::Connection<TokioIo<Metered>, Full<Bytes>>;

/// Bytes received so far and the time of the last read that brought any.
#[derive(Debug)]
struct Meter {
    origin: Instant,
    received: AtomicU64,
    last_read_ns: AtomicU64,
}

/// A stream that stamps each read as it returns, before anything looks at the bytes.
#[derive(Debug)]
struct Metered {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            let elapsed = self.meter.origin.elapsed();
            self.meter
                .last_read_ns
                .store(elapsed.as_nanos() as u64, Ordering::Relaxed);
            self.meter
                .received
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection to an engine.
///
/// hyper splits a connection into a handle and a driver that is usually
/// spawned as a task of its own. Here the waiting task polls the driver
/// itself: a chunk then costs one wake-up instead of two.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Box<Driver>>,
    bell: Doorbell,
    meter: Arc<Meter>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let meter = Arc::new(Meter {
            origin: Instant::now(),
            received: AtomicU64::new(0),
            last_read_ns: AtomicU64::new(0),
        });
        let io = TokioIo::new(Metered {
            stream,
            meter: Arc::clone(&meter),
        });
        let (sender, driver) = http1::Builder::new()
            .handshake(io)
            .await
            .map_err(std::io::Error::other)?;
        Ok(Self {
            sender,
            driver: Some(Box::new(driver)),
            bell: Doorbell::new(),
            meter,
        })
    }

    /// Bytes received since the connection was opened.
    pub(super) fn received(&self) -> u64 {
        self.meter.received.load(Ordering::Relaxed)
    }

    /// When the last read that brought bytes returned.
    pub(super) fn last_read(&self) -> Instant {
        let since = self.meter.last_read_ns.load(Ordering::Relaxed);
        self.meter.origin + Duration::from_nanos(since)
    }

    /// Whether another request may be sent, as far as is known without sending it.
    pub(super) async fn is_idle(&mut self) -> bool {
        let Self { driver, bell, .. } = self;
        poll_fn(|cx| {
            bell.poll(cx, |cx| {
                poll_driver(driver, cx);
                Poll::Ready(())
            })
        })
        .await;
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut answer = Box::pin(self.sender.send_request(request));
        let Self { driver, bell, .. } = self;
        poll_fn(|cx| {
            bell.poll(cx, |cx| {
                poll_driver(driver, cx);
                answer.as_mut().poll(&mut only_the_driver())
            })
        })
        .await
    }

    /// The next part of a body, or `None` at its end.
    pub(super) async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Bytes, hyper::Error>> {
        let Self { driver, bell, .. } = self;
        poll_fn(|cx| bell.poll(cx, |cx| poll_frame(driver, body, cx))).await
    }
}

fn poll_frame(
    driver: &mut Option<Box<Driver>>,
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, hyper::Error>>> {
    loop {
        poll_driver(driver, cx);
        match Pin::new(&mut *body).poll_frame(&mut only_the_driver()) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        }
    }
}

/// Only the driver, polled just before, can bring an answer on: a waker of
/// the answer's own would wake this task for nothing.
fn only_the_driver() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Moves the protocol on; a finished driver is dropped. Its error, if any,
/// also reaches the request or body that waits for it.
fn poll_driver(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running.as_mut()).poll(cx).is_ready()
    {
        *driver = None;
    }
}
