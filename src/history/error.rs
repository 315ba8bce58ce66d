//! What can stop a query altogether. What only narrows the answer is a
//! [`Finding`](super::Finding) or a warning in the record.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("neither `model` nor `query` is given")]
    NothingAsked,
    #[error("`{field}` is {value:?}, but must be {expected}")]
    Argument {
        field: &'static str,
        value: String,
        expected: String,
    },
    #[error("the decision number {position} {problem}")]
    Decision {
        position: usize,
        problem: String,
        hint: String,
    },
    #[error("cannot read the model's configuration {}: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    #[error("the index {} cannot be built: {source}", path.display())]
    Index {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("the index folder cannot be used: {0}")]
    IndexFolder(String),
    #[error("`git {}` in {} failed: {stderr}", arguments.join(" "), checkout.display())]
    Git {
        checkout: PathBuf,
        arguments: Vec<String>,
        stderr: String,
    },
    #[error("the built-in table {name} is broken: {reason}")]
    Table { name: &'static str, reason: String },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<HistoryError> for Fault {
    fn from(error: HistoryError) -> Self {
        let message = error.to_string();
        match error {
            HistoryError::NothingAsked => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "give a model id such as \"Qwen/Qwen3-8B\", words such as \"fused qk norm rope\", or both",
            ),
            HistoryError::Argument { field, .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                format!("correct `{field}` or leave it out"),
            ),
            HistoryError::Decision { hint, .. } => {
                Fault::new(FaultCode::InvalidArgument, message, hint)
            }
            HistoryError::Config { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "give the model's id instead, or mend the file",
            )
            .with_evidence(path.display().to_string()),
            HistoryError::Index { path, .. } => Fault::new(
                FaultCode::NotWritable,
                message,
                "delete the file and repeat the call; it is only a cache",
            )
            .retryable()
            .with_evidence(path.display().to_string()),
            HistoryError::IndexFolder(_) => Fault::new(
                FaultCode::NotWritable,
                message,
                "set XDG_CACHE_HOME to a folder that this user may write",
            ),
            HistoryError::Git { checkout, .. } => Fault::new(
                FaultCode::NotReadable,
                message,
                "run the command by hand to see why, or leave the checkout out",
            )
            .with_evidence(checkout.display().to_string()),
            HistoryError::Table { .. } => Fault::new(
                FaultCode::Internal,
                message,
                "this is a defect of sota-loop; please report it",
            ),
            HistoryError::Disk(error) => error.into(),
        }
    }
}
