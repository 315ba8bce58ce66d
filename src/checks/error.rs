//! Why checks could not be carried through.

use std::path::PathBuf;

use crate::bench::BenchError;
use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};
use crate::http::HttpError;
use crate::job::JobError;

#[derive(Debug, thiserror::Error)]
pub enum ChecksError {
    #[error("the plan has no framework `{0}`")]
    NoFramework(String),
    #[error("the server of {framework} did not come up: {reason}")]
    NoServer { framework: String, reason: String },
    #[error("prompt {number} was not answered: {source}")]
    Unanswered { number: usize, source: HttpError },
    #[error("the answer to prompt {number} has no text: {answer}")]
    NoText { number: usize, answer: String },
    #[error("{} holds no outputs: {problem}", path.display())]
    BadOutputs { path: PathBuf, problem: String },
    #[error("the checkout moved from tree {from} to {to} before the checks ran")]
    Moved { from: String, to: String },
    #[error("the job's spec cannot be read: {0}")]
    Spec(serde_json::Error),
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<ChecksError> for Fault {
    fn from(error: ChecksError) -> Self {
        let message = error.to_string();
        match error {
            ChecksError::Disk(error) => error.into(),
            ChecksError::Job(error) => error.into(),
            ChecksError::Bench(error) => error.into(),
            ChecksError::Spec(_) => Fault::new(
                FaultCode::JobTampered,
                message,
                "it was made by another version of sota-loop; use that version",
            ),
            ChecksError::Moved { .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "leave HEAD alone until the job has ended, then check again",
            )
            .retryable(),
            ChecksError::BadOutputs { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "check the base tree again to record its outputs anew",
            )
            .with_evidence(path.display().to_string()),
            ChecksError::NoFramework(_)
            | ChecksError::NoServer { .. }
            | ChecksError::Unanswered { .. }
            | ChecksError::NoText { .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "read the server's log in the job's folder, mend what it names, then check again",
            )
            .retryable(),
        }
    }
}
