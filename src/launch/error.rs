//! What can go wrong between a command and its running process.

use std::io;
use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("the program `{program}` was not found: {reason}")]
    NotFound { program: String, reason: String },
    #[error("cannot start `{program}`: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("no free port on 127.0.0.1: {0}")]
    NoPort(io::Error),
    #[error("cannot lock {}: {source}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("GPU {index} does not exist; this host has {count}")]
    NoSuchGpu { index: u32, count: u32 },
    #[error("the container `{name}` {problem}")]
    Container {
        name: String,
        problem: String,
        hint: String,
    },
    #[error("`{command}` failed: {problem}")]
    Docker { command: String, problem: String },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<LaunchError> for Fault {
    fn from(error: LaunchError) -> Self {
        let message = error.to_string();
        match error {
            LaunchError::Disk(error) => error.into(),
            LaunchError::NotFound { .. } => Fault::new(
                FaultCode::CommandNotFound,
                message,
                "install it, or give its absolute path in the plan (`command`, `python`)",
            ),
            LaunchError::NoSuchGpu { .. } => Fault::new(
                FaultCode::InvalidPlan,
                message,
                "list indices as `nvidia-smi` shows them in hardware.gpu_ids",
            ),
            LaunchError::Container { hint, .. } => {
                Fault::new(FaultCode::LaunchFailed, message, hint)
            }
            LaunchError::Docker { .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "run the same command by hand; docker must work for this user",
            ),
            _ => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "check limits on processes and ports, then repeat the call",
            )
            .retryable(),
        }
    }
}
