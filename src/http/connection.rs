//! One kept-alive connection, read and written by the task that waits for it.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wire::{Inbox, WireError};

/// A connection to an engine.
///
/// The task of a request reads the socket itself: a chunk of a stream costs
/// one wake-up, one read, and no copy or allocation.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    inbox: Inbox,
}

/// A request that got no answer.
pub(super) enum SendError {
    /// The connection ended without one byte of an answer.
    NoByte,
    Wire(WireError),
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbox: Inbox::new(),
        })
    }

    /// Whether another request may be sent, as far as is known without sending it.
    pub(super) fn is_idle(&self) -> bool {
        let nothing = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.inbox.is_idle() && self.stream.try_read(&mut [0]).is_err_and(nothing)
    }

    /// Sends a request and waits for the status of the answer.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<u16, SendError> {
        let mut count = self.write(request).await;
        let mut any = false;
        loop {
            any |= matches!(count, Ok(1..));
            match count {
                Ok(1..) => {}
                _ if !any => return Err(SendError::NoByte),
                Ok(0) => return Err(SendError::Wire(WireError::EndInHead)),
                Err(error) => return Err(SendError::Wire(error.into())),
            }
            if let Some(status) = self.inbox.head().map_err(SendError::Wire)? {
                return Ok(status);
            }
            count = self.read().await;
        }
    }

    /// Writes a request and makes the first read of the answer. An engine
    /// that refuses a long request may answer and close before all is written.
    async fn write(&mut self, request: &[u8]) -> io::Result<usize> {
        let Self { stream, inbox } = self;
        let (mut reader, mut writer) = stream.split();
        let early = tokio::select! {
            biased;
            written = writer.write_all(request) => written.is_err().then_some(None),
            count = reader.read(inbox.room()) => Some(Some((count, Instant::now()))),
        };
        if early.is_some() {
            inbox.spoil();
        }
        match early.flatten() {
            Some((count, at)) => {
                inbox.filled(*count.as_ref().unwrap_or(&0), at);
                count
            }
            None => self.read().await,
        }
    }

    /// The next part of the body and when the read that brought it returned,
    /// or `None` at the body's end.
    pub(super) async fn part(&mut self) -> Result<Option<(&[u8], Instant)>, WireError> {
        loop {
            if let Some(part) = self.inbox.next_part()? {
                return Ok(Some((self.inbox.bytes(part), self.inbox.read_at())));
            }
            if self.inbox.is_done() {
                return Ok(None);
            }
            if self.read().await? == 0 {
                self.inbox.closed()?;
            }
        }
    }

    /// Reads once; the time is taken before anything looks at the bytes.
    async fn read(&mut self) -> io::Result<usize> {
        let count = self.stream.read(self.inbox.room()).await?;
        if count > 0 {
            self.inbox.filled(count, Instant::now());
        }
        Ok(count)
    }
}
