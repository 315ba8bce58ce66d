//! Why a run of load could not be driven at all. A request that fails is no
//! such error: it is a sample with its own error class.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// A run that could not start, or samples that could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no prompt to send")]
    NoPrompts,
    #[error("a request rate of {rate} requests/s is not a positive finite number")]
    BadRate { rate: f64 },
    #[error("a burstiness of {burstiness} is not positive")]
    BadBurstiness { burstiness: f64 },
    #[error("prompt {index} is {kind}, which {endpoint} cannot carry")]
    WrongInput {
        index: usize,
        kind: &'static str,
        endpoint: &'static str,
    },
    #[error("the extra request body sets `{key}`, which the workload sets")]
    ReservedKey { key: String },
    #[error("the request bodies take {bytes} bytes, more than {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("cannot start a load thread: {0}")]
    Thread(std::io::Error),
    #[error("a load thread ended before its requests did")]
    ThreadLost,
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: line {line}: {reason}", path.display())]
    BadSample {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        let message = error.to_string();
        match error {
            LoadError::Disk(error) => error.into(),
            LoadError::NoPrompts | LoadError::BadRate { .. } | LoadError::BadBurstiness { .. } => {
                Fault::new(
                    FaultCode::InvalidArgument,
                    message,
                    "correct the plan's dataset and benchmark sections",
                )
            }
            LoadError::WrongInput { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "send token ids to /v1/completions or /generate, and messages to /v1/chat/completions",
            ),
            LoadError::ReservedKey { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "remove the key from benchmark.extra_request_body",
            ),
            LoadError::TooLarge { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "lower num_prompts or input_len",
            ),
            LoadError::Thread(_) | LoadError::ThreadLost => Fault::new(
                FaultCode::Internal,
                message,
                "check the limits on threads and open files (ulimit -u, ulimit -n)",
            )
            .retryable(),
            LoadError::BadSample { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "run the scenario again; the raw samples were cut off or edited",
            )
            .with_evidence(path.display().to_string()),
        }
    }
}
