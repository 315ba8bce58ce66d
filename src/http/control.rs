//! Single calls for the control plane: one connection, a time limit, a bounded body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;

use super::connection::{Connection, SendError};
use super::request::request;
use super::{Base, HttpError};

/// How long to wait and how much to read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From connecting to the last byte.
    pub time: Duration,
    /// Largest body that is read, in bytes.
    pub body: usize,
}

impl Default for Limits {
    /// 10 s and 16 MiB: enough for `/metrics` of a busy engine.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(10),
            body: 16 << 20,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    target: String,
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text; bytes that are no UTF-8 become replacement characters.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Turns a status other than 2xx into an error that carries the start of the body.
    pub fn success(self) -> Result<Self, HttpError> {
        if self.is_success() {
            return Ok(self);
        }
        Err(HttpError::Status {
            status: self.status,
            body: start(&self.body, 2000),
            target: self.target,
        })
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| HttpError::NotJson {
            target: self.target.clone(),
            reason: error.to_string(),
            start: start(&self.body, 200),
        })
    }
}

/// The first bytes of a body as text, cut at a character.
pub(super) fn start(body: &[u8], most: usize) -> String {
    String::from_utf8_lossy(body).chars().take(most).collect()
}

/// `GET` of a path such as `/v1/models`. Any status is an `Ok` reply.
pub async fn get(base: &Base, path: &str, limits: Limits) -> Result<Reply, HttpError> {
    call(base, "GET", path, Bytes::new(), limits).await
}

/// `POST` of a JSON body (may be empty). Any status is an `Ok` reply.
pub async fn post_json(
    base: &Base,
    path: &str,
    body: impl Into<Bytes>,
    limits: Limits,
) -> Result<Reply, HttpError> {
    call(base, "POST", path, body.into(), limits).await
}

async fn call(
    base: &Base,
    method: &str,
    path: &str,
    body: Bytes,
    limits: Limits,
) -> Result<Reply, HttpError> {
    let target = format!("{method} {}", base.url(path));
    match tokio::time::timeout(limits.time, exchange(base, method, path, body, limits)).await {
        Ok(done) => done,
        Err(_) => Err(HttpError::Timeout {
            target,
            limit: limits.time,
        }),
    }
}

async fn exchange(
    base: &Base,
    method: &str,
    path: &str,
    body: Bytes,
    limits: Limits,
) -> Result<Reply, HttpError> {
    let target = format!("{method} {}", base.url(path));
    let request = request(base, method, path, &body, true)?;
    let mut connection =
        Connection::open(base.address())
            .await
            .map_err(|source| HttpError::Connect {
                address: base.address(),
                source,
            })?;
    let status = match connection.send(&request).await {
        Ok(status) => status,
        Err(SendError::NoByte) => return Err(HttpError::ClosedBeforeAnswer { target }),
        Err(SendError::Wire(source)) => return Err(HttpError::protocol(&target, source)),
    };
    let mut whole = BytesMut::new();
    while let Some((part, _)) = connection
        .part()
        .await
        .map_err(|source| HttpError::protocol(&target, source))?
    {
        if whole.len() + part.len() > limits.body {
            return Err(HttpError::BodyTooLarge {
                target,
                limit: limits.body,
            });
        }
        whole.extend_from_slice(part);
    }
    Ok(Reply {
        target,
        status,
        body: whole.freeze(),
    })
}
