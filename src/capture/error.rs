//! Why a capture gave no traces.

use std::path::PathBuf;

use crate::bench::{BenchError, RunFailure};
use crate::disk::DiskError;
use crate::engine::EngineError;
use crate::fault::{Fault, FaultCode};
use crate::http::HttpError;
use crate::job::JobError;
use crate::triage::TriageError;

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{problem}")]
    Invalid { problem: String, hint: String },
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("the traces were captured, but not analysed: {source}")]
    Analysis {
        source: TriageError,
        folder: PathBuf,
    },
    /// The engine's file has no `[profiler]`.
    #[error("how the profiler of engine `{engine}` is driven is not known")]
    UnknownProfiler { engine: String },
    #[error("POST {url} answered {status}: the server has no profiler route")]
    NoRoute {
        url: String,
        status: u16,
        hint: String,
    },
    #[error("the profiler did not start: POST {url} answered {status}: {body}")]
    StartRefused {
        url: String,
        status: u16,
        body: String,
    },
    #[error("the profiler did not stop: POST {url} answered {status}: {body}")]
    StopRefused {
        url: String,
        status: u16,
        body: String,
    },
    #[error("no whole trace of {what} in {} within {waited_s} s: {seen}", dir.display())]
    TraceIncomplete {
        what: String,
        dir: PathBuf,
        waited_s: u64,
        seen: String,
    },
    #[error("{} has {free_mib} MiB free; this capture may need {needed_mib} MiB", dir.display())]
    DiskTooSmall {
        dir: PathBuf,
        free_mib: u64,
        needed_mib: u64,
    },
    /// The server was not up, or ended by itself.
    #[error("{reason}")]
    Server { reason: String, log: PathBuf },
    #[error("the requests of the {stage} capture failed: {reason}")]
    Load { stage: &'static str, reason: String },
    #[error("the job's own record cannot be read: {0}")]
    Record(serde_json::Error),
    #[error("cancelled")]
    Cancelled,
}

impl CaptureError {
    pub(super) fn invalid(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid {
            problem: problem.into(),
            hint: hint.into(),
        }
    }

    /// What became of the server, from the same kind of failure in a benchmark.
    pub(super) fn of_server(failure: RunFailure, log: &std::path::Path) -> Self {
        if failure.cancelled {
            return Self::Cancelled;
        }
        Self::Server {
            reason: failure.reason,
            log: log.to_path_buf(),
        }
    }
}

impl From<CaptureError> for Fault {
    fn from(error: CaptureError) -> Self {
        let message = error.to_string();
        match error {
            CaptureError::Bench(error) => error.into(),
            CaptureError::Engine(error) => error.into(),
            CaptureError::Job(error) => error.into(),
            CaptureError::Disk(error) => error.into(),
            CaptureError::Http(error) => error.into(),
            CaptureError::Invalid { hint, .. } => {
                Fault::new(FaultCode::InvalidArgument, message, hint)
            }
            CaptureError::Analysis { source, folder } => {
                let inner = Fault::from(source);
                Fault::new(inner.error, message, inner.hint)
                    .with_evidence(folder.display().to_string())
            }
            CaptureError::UnknownProfiler { .. } => Fault::new(
                FaultCode::ProfilerUnavailable,
                message,
                "record a torch-profiler trace with the engine's own means and give it as input",
            ),
            CaptureError::NoRoute { hint, .. } => {
                Fault::new(FaultCode::ProfilerUnavailable, message, hint)
            }
            CaptureError::StartRefused { .. } => Fault::new(
                FaultCode::ProfilerUnavailable,
                message,
                "where a recording is under way, end it with POST /stop_profile; else the server's log says more",
            ),
            CaptureError::StopRefused { .. } => Fault::new(
                FaultCode::ProfilerUnavailable,
                message,
                "the server's log says more",
            ),
            CaptureError::TraceIncomplete { dir, .. } => Fault::new(
                FaultCode::TraceIncomplete,
                message,
                "the server's log says what it wrote and where; a slow disk or many ranks need a longer trace_timeout_s, and a server in a container must see this folder under the same path",
            )
            .with_evidence(dir.display().to_string()),
            CaptureError::DiskTooSmall { .. } => Fault::new(
                FaultCode::DiskTooSmall,
                message,
                "free some space, or record fewer steps, one stage or no mapping run; nothing was launched",
            )
            .retryable(),
            CaptureError::Server { log, .. } => Fault::new(
                FaultCode::EngineDied,
                message,
                "mend what the log names, then capture again",
            )
            .with_evidence(log.display().to_string()),
            CaptureError::Load { .. } => Fault::new(
                FaultCode::EngineDied,
                message,
                "the server's log says more",
            ),
            CaptureError::Record(_) => Fault::new(
                FaultCode::JobTampered,
                message,
                "remove the job folder and capture again",
            ),
            CaptureError::Cancelled => {
                Fault::new(FaultCode::Internal, message, "capture again")
            }
        }
    }
}
