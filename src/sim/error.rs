//! Why a simulated engine did not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// Everything that stops the simulated engine before it serves.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: {source}", path.display())]
    CostModel {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{key} is {value}, but must be at least {least}")]
    OutOfRange {
        key: &'static str,
        value: f64,
        least: f64,
    },
    #[error("`{text}` is no fault; known are {known}")]
    UnknownFault { text: String, known: String },
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("`{host}` is no address of this host")]
    Host { host: String },
    #[error("cannot start the server's runtime: {0}")]
    Runtime(io::Error),
}

impl From<SimError> for Fault {
    fn from(error: SimError) -> Self {
        let message = error.to_string();
        match error {
            SimError::Disk(error) => error.into(),
            SimError::CostModel { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "docs/simulated-engine.md lists the keys of a cost model",
            )
            .with_evidence(path.display().to_string()),
            SimError::OutOfRange { .. } | SimError::UnknownFault { .. } | SimError::Host { .. } => {
                Fault::new(
                    FaultCode::InvalidArgument,
                    message,
                    "see `sota-loop sim --help`",
                )
            }
            SimError::Listen { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "choose another --port, or 0 for a free one",
            )
            .retryable(),
            SimError::Runtime(_) => Fault::new(
                FaultCode::Internal,
                message,
                "raise the limits on threads and open files",
            ),
        }
    }
}
