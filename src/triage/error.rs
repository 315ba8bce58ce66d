use std::io;
use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};
use crate::trace::TraceError;

/// Why an analysis gave no record.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    #[error(transparent)]
    Trace(#[from] TraceError),

    /// The named path does not exist, or its folder cannot be listed.
    #[error("cannot read {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },

    /// The folder is too large to be one of traces.
    #[error("{} holds more than {limit} files", path.display())]
    TooManyFiles { path: PathBuf, limit: usize },

    /// The folder holds no trace of a serving engine.
    #[error("{} holds no profiler trace ({captures} taken during graph capture do not count)", path.display())]
    NoTrace { path: PathBuf, captures: usize },

    /// The folder holds other ranks than the asked one.
    #[error("{} has no trace of rank {rank}, only of {}", path.display(), list(ranks))]
    NoRank {
        path: PathBuf,
        rank: u32,
        ranks: Vec<u32>,
    },

    /// The trace was read, but no work ran on a GPU in it.
    #[error("{} holds {events} events, but no GPU kernel", path.display())]
    NoGpuWork { path: PathBuf, events: u64 },

    /// An argument is out of its range.
    #[error("{argument} is {value}; it must be {range}")]
    OutOfRange {
        argument: &'static str,
        value: String,
        range: &'static str,
    },

    #[error(transparent)]
    Write(#[from] DiskError),
}

fn list(ranks: &[u32]) -> String {
    if ranks.is_empty() {
        return "no numbered rank".into();
    }
    let ranks: Vec<String> = ranks.iter().map(u32::to_string).collect();
    ranks.join(", ")
}

impl From<TriageError> for Fault {
    fn from(error: TriageError) -> Self {
        let message = error.to_string();
        let fault = |code, hint: &str, path: Option<PathBuf>| {
            let fault = Fault::new(code, message, hint);
            match path {
                Some(path) => fault.with_evidence(path.display().to_string()),
                None => fault,
            }
        };
        match error {
            TriageError::Trace(error) => error.into(),
            TriageError::Write(error) => error.into(),
            TriageError::Folder { path, .. } => fault(
                FaultCode::NotReadable,
                "check the path and its permissions",
                Some(path),
            ),
            TriageError::TooManyFiles { path, .. } => fault(
                FaultCode::InvalidArgument,
                "name the folder into which the profiler wrote",
                Some(path),
            ),
            TriageError::NoTrace { path, .. } => fault(
                FaultCode::InvalidInput,
                "name a *.trace.json.gz file, or the folder into which the profiler wrote",
                Some(path),
            ),
            TriageError::NoRank { path, .. } => fault(
                FaultCode::InvalidArgument,
                "ask for one of these ranks, or leave rank out",
                Some(path),
            ),
            TriageError::NoGpuWork { path, .. } => fault(
                FaultCode::InvalidInput,
                "profile the process that runs the model, with GPU activities on",
                Some(path),
            ),
            TriageError::OutOfRange { .. } => {
                fault(FaultCode::InvalidArgument, "correct the argument", None)
            }
        }
    }
}
