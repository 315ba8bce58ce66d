//! Kept-alive connections for the load generator.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connection::{Connection, SendError};
use super::request::request;
use super::{Base, HttpError};

/// What became of the connections of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolCounts {
    /// Connections opened.
    pub opened: u64,
    /// Requests sent on a connection that had served one before.
    pub reused: u64,
    /// Connections that the engine closed after an answer, found in time.
    pub not_kept: u64,
    /// Requests sent a second time, because the engine had closed a kept
    /// connection without one byte of an answer.
    pub stale_retries: u64,
}

/// Connections to one engine. A connection belongs to the runtime that opened
/// it, so each runtime has a pool of its own.
#[derive(Debug)]
pub struct Pool {
    base: Base,
    idle: Mutex<Vec<Connection>>,
    opened: AtomicU64,
    reused: AtomicU64,
    not_kept: AtomicU64,
    stale_retries: AtomicU64,
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Exchange {
    connection: Connection,
    target: String,
    pub status: u16,
    /// When the request was handed to an open connection; after a retry, to the fresh one.
    pub sent: Instant,
    /// Time spent on opening the connection; zero when it was reused.
    pub connect: Duration,
    /// Whether the connection had served a request before.
    pub reused: bool,
    /// Whether the request was sent a second time.
    pub retried: bool,
}

/// Part of a body and the time when the read that brought it returned.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub bytes: &'a [u8],
    pub at: Instant,
}

impl Pool {
    pub fn new(base: Base) -> Self {
        Self {
            base,
            idle: Mutex::new(Vec::new()),
            opened: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            not_kept: AtomicU64::new(0),
            stale_retries: AtomicU64::new(0),
        }
    }

    /// The engine that the connections lead to.
    pub fn base(&self) -> &Base {
        &self.base
    }

    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            opened: self.opened.load(Ordering::Relaxed),
            reused: self.reused.load(Ordering::Relaxed),
            not_kept: self.not_kept.load(Ordering::Relaxed),
            stale_retries: self.stale_retries.load(Ordering::Relaxed),
        }
    }

    /// Posts a JSON body and returns when the head of the answer is there.
    ///
    /// A kept connection that the engine has closed in the meantime is no
    /// failure of the engine's work: when it ends without one byte, the
    /// request goes out once more on a fresh connection with a fresh clock.
    pub async fn post_json(&self, path: &str, body: Bytes) -> Result<Exchange, HttpError> {
        if let Some(connection) = self.take_idle() {
            self.reused.fetch_add(1, Ordering::Relaxed);
            match self.post_on(connection, path, body.clone()).await {
                Err(HttpError::ClosedBeforeAnswer { .. }) => {
                    self.stale_retries.fetch_add(1, Ordering::Relaxed);
                    let mut exchange = self.post_fresh(path, body).await?;
                    exchange.retried = true;
                    return Ok(exchange);
                }
                Err(error) => return Err(error),
                Ok(mut exchange) => {
                    exchange.reused = true;
                    return Ok(exchange);
                }
            }
        }
        self.post_fresh(path, body).await
    }

    /// Keeps the connection of an answer that was read to its end, if the engine lets it.
    pub fn put_back(&self, exchange: Exchange) {
        let connection = exchange.connection;
        if !connection.is_idle() {
            self.not_kept.fetch_add(1, Ordering::Relaxed);
        } else if let Ok(mut idle) = self.idle.lock() {
            idle.push(connection);
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.idle.lock().ok()?.pop()?;
            if connection.is_idle() {
                return Some(connection);
            }
            self.not_kept.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn post_fresh(&self, path: &str, body: Bytes) -> Result<Exchange, HttpError> {
        let before = Instant::now();
        let connection = Connection::open(self.base.address())
            .await
            .map_err(|source| HttpError::Connect {
                address: self.base.address(),
                source,
            })?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        let connect = before.elapsed();
        let mut exchange = self.post_on(connection, path, body).await?;
        exchange.connect = connect;
        Ok(exchange)
    }

    async fn post_on(
        &self,
        mut connection: Connection,
        path: &str,
        body: Bytes,
    ) -> Result<Exchange, HttpError> {
        let target = || format!("POST {}", self.base.url(path));
        let request = request(&self.base, "POST", path, &body, false)?;
        let sent = Instant::now();
        let status = match connection.send(&request).await {
            Ok(status) => status,
            Err(SendError::NoByte) => {
                return Err(HttpError::ClosedBeforeAnswer { target: target() });
            }
            Err(SendError::Wire(source)) => {
                return Err(HttpError::protocol(&target(), source));
            }
        };
        Ok(Exchange {
            status,
            connection,
            target: target(),
            sent,
            connect: Duration::ZERO,
            reused: false,
            retried: false,
        })
    }
}

impl Exchange {
    /// The next part of the body, or `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Chunk<'_>>, HttpError> {
        match self.connection.part().await {
            Ok(part) => Ok(part.map(|(bytes, at)| Chunk { bytes, at })),
            Err(source) => Err(HttpError::protocol(&self.target, source)),
        }
    }
}
