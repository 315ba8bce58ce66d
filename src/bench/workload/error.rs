//! What can be wrong with a workload.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// A workload that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error("{what} is {value}, but {rule}")]
    BadNumber {
        what: &'static str,
        value: u64,
        rule: &'static str,
    },
    #[error("no token id from {lowest} up to the vocabulary's end at {vocab_size} may be sent")]
    NoIds { lowest: u32, vocab_size: u32 },
    #[error("{what} ranges from {min} down to {max}")]
    BadRange {
        what: &'static str,
        min: u32,
        max: u32,
    },
    #[error("{}: line {line}: {reason}", path.display())]
    BadLine {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{}: holds {found} prompts, but {wanted} are asked for", path.display())]
    TooFew {
        path: PathBuf,
        found: usize,
        wanted: usize,
    },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<WorkloadError> for Fault {
    fn from(error: WorkloadError) -> Self {
        let message = error.to_string();
        match error {
            WorkloadError::Disk(error) => error.into(),
            WorkloadError::BadLine { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "write each line as {\"prompt\": \"text\" or [ids], \"output_len\": n} or {\"messages\": [...], \"output_len\": n}",
            )
            .with_evidence(path.display().to_string()),
            WorkloadError::TooFew { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "lower num_prompts; prompts are never repeated, because a repeated prompt measures the prefix cache",
            )
            .with_evidence(path.display().to_string()),
            _ => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "correct the plan's dataset section",
            ),
        }
    }
}
