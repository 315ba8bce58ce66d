//! Everything that can go wrong while talking to an engine.

use std::net::SocketAddr;
use std::time::Duration;

use super::wire::WireError;
use crate::fault::{Fault, FaultCode};

/// A failed exchange with an engine, with the address that it was about.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("`{url}` is not an address of an engine: {reason}")]
    BadUrl { url: String, reason: String },
    #[error("`{url}` asks for https, but engines are measured over plain http only")]
    HttpsUnsupported { url: String },
    #[error("cannot resolve `{host}`: {reason}")]
    Resolve { host: String, reason: String },
    #[error("cannot connect to {address}: {source}")]
    Connect {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{target} did not answer within {} s", limit.as_secs_f64())]
    Timeout { target: String, limit: Duration },
    #[error("{target} sent more than {limit} bytes")]
    BodyTooLarge { target: String, limit: usize },
    #[error("{target} closed the connection before the first byte of its answer")]
    ClosedBeforeAnswer { target: String },
    #[error("{target}: {source}")]
    Protocol {
        target: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{target} answered {status}: {body}")]
    Status {
        target: String,
        status: u16,
        body: String,
    },
    #[error("{target} did not answer with the expected JSON: {reason}; it begins {start:?}")]
    NotJson {
        target: String,
        reason: String,
        start: String,
    },
    #[error("`{path}` is no request path: {reason}")]
    BadPath { path: String, reason: String },
}

impl HttpError {
    pub(super) fn protocol(target: &str, source: WireError) -> Self {
        Self::Protocol {
            target: target.to_owned(),
            source: Box::new(source),
        }
    }

    /// Whether nobody listens at the address (yet).
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::ConnectionRefused)
    }

    /// Whether the engine let the time limit pass.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::ClosedBeforeAnswer { .. }
            | Self::Protocol { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let (code, hint) = match &error {
            HttpError::BadUrl { .. } | HttpError::BadPath { .. } => (
                FaultCode::InvalidArgument,
                "give an address such as http://127.0.0.1:30000",
            ),
            HttpError::HttpsUnsupported { .. } => (
                FaultCode::InvalidArgument,
                "use the engine's own http port; encryption would be part of what is measured",
            ),
            HttpError::Resolve { .. } => (
                FaultCode::InvalidArgument,
                "write the engine's IP address instead of its name",
            ),
            HttpError::Connect { .. } => (
                FaultCode::EngineUnreachable,
                "check that the engine runs and listens at this address and port",
            ),
            HttpError::Timeout { .. } | HttpError::ClosedBeforeAnswer { .. } => (
                FaultCode::EngineUnreachable,
                "look at the end of the engine's log; it may be loading, overloaded or dead",
            ),
            HttpError::BodyTooLarge { .. } => (
                FaultCode::InvalidInput,
                "check that the address is the engine's API and not a file server",
            ),
            HttpError::Protocol { .. } | HttpError::NotJson { .. } => (
                FaultCode::InvalidInput,
                "check that an OpenAI-compatible engine listens at this address",
            ),
            HttpError::Status { .. } => (
                FaultCode::InvalidInput,
                "the engine refused the request; its words are in the message",
            ),
        };
        let fault = Fault::new(code, error.to_string(), hint);
        if error.is_retryable() {
            fault.retryable()
        } else {
            fault
        }
    }
}
