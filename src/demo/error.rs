//! What can stop a play.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{program} is not installed: {reason}")]
    Missing { program: String, reason: String },
    #[error("git {} failed: {problem}", arguments.join(" "))]
    Git {
        arguments: Vec<String>,
        problem: String,
    },
    #[error("{tool} should have been refused by `{expected}`, but it answered {record}")]
    NotRefused {
        tool: String,
        expected: String,
        record: String,
    },
    #[error("{tool} should have been refused by `{expected}`, but was by `{found}`: {message}")]
    RefusedOtherwise {
        tool: String,
        expected: String,
        found: String,
        message: String,
    },
    #[error("{tool} answered without `{key}`: {record}")]
    Lacks {
        tool: String,
        key: String,
        record: String,
    },
    #[error("job {id} ended as {state}: {message}")]
    Job {
        id: String,
        state: String,
        message: String,
    },
    #[error("{tool} failed: {}", fault.message)]
    Tool { tool: String, fault: Box<Fault> },
    #[error("the path of this program is unknown: {0}")]
    Binary(std::io::Error),
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<DemoError> for Fault {
    fn from(error: DemoError) -> Self {
        let message = error.to_string();
        match error {
            DemoError::Disk(error) => error.into(),
            DemoError::Tool { fault, .. } => Fault { message, ..*fault },
            DemoError::Missing { program, .. } => Fault::new(
                FaultCode::CommandNotFound,
                message,
                format!("install {program}; the demo works on a git checkout with a Python engine"),
            ),
            DemoError::Folder { .. } => Fault::new(
                FaultCode::NotWritable,
                message,
                "name another folder with --dir",
            ),
            DemoError::Binary(_) => {
                Fault::new(FaultCode::Internal, message, "set SOTA_LOOP_BINARY to it")
            }
            _ => Fault::new(
                FaultCode::Internal,
                message,
                "this is a defect of sota-loop; please report it",
            ),
        }
    }
}
