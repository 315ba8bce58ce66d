//! Everything that can be wrong with the rows or the request of a gap check.

use std::io;
use std::path::PathBuf;

use crate::fault::{Fault, FaultCode};

/// Why no gap could be computed.
#[derive(Debug, thiserror::Error)]
pub enum GapError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}:{line}: key `{key}`: {problem}", path.display())]
    BadRow {
        path: PathBuf,
        line: usize,
        key: String,
        problem: String,
    },
    #[error("{}:{line}: the line is longer than {limit} bytes", path.display())]
    LineTooLong {
        path: PathBuf,
        line: usize,
        limit: usize,
    },
    #[error("cannot read {}: {source}", path.display())]
    ReadTimeline { path: PathBuf, source: io::Error },
    #[error("{}:{line}: no timeline: {problem}", path.display())]
    BadTimeline {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("{}: more than {limit} rows", path.display())]
    TooManyRows { path: PathBuf, limit: usize },
    #[error("there are no rows{}", filter.as_ref().map(|f| format!(" with {f}")).unwrap_or_default())]
    NoRows { filter: Option<String> },
    #[error("no row has framework `{target}`; the rows have {}", known.join(", "))]
    UnknownTarget { target: String, known: Vec<String> },
    #[error("no row has metric `{metric}`; the rows have {}", known.join(", "))]
    UnknownMetric { metric: String, known: Vec<String> },
    #[error("`{metric}` is neither a rate nor a latency, so it is not known which way is better")]
    NoDirection { metric: String },
}

impl From<GapError> for Fault {
    fn from(error: GapError) -> Self {
        let message = error.to_string();
        match error {
            GapError::Read { path, .. } => Fault::new(
                FaultCode::NotReadable,
                message,
                "give the path of the candidates.jsonl that run_benchmark returned",
            )
            .with_evidence(path.display().to_string()),
            GapError::BadRow { path, line, .. } | GapError::LineTooLong { path, line, .. } => {
                Fault::new(
                    FaultCode::InvalidInput,
                    message,
                    "each line must be one JSON object as run_benchmark writes it; \
                     correct or remove this line",
                )
                .with_evidence(format!("{}:{line}", path.display()))
            }
            GapError::ReadTimeline { path, .. } => Fault::new(
                FaultCode::NotReadable,
                message,
                "give the timeline.jsonl that stands beside a row's raw samples",
            )
            .with_evidence(path.display().to_string()),
            GapError::BadTimeline { path, line, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "each line must be one JSON object as run_benchmark writes it",
            )
            .with_evidence(format!("{}:{line}", path.display())),
            GapError::TooManyRows { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "give the rows of one job, not of many",
            )
            .with_evidence(path.display().to_string()),
            GapError::NoRows { .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "run run_benchmark first, or wait until its first rows are written",
            ),
            GapError::UnknownTarget { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "set `target` to one of these frameworks",
            ),
            GapError::UnknownMetric { .. } | GapError::NoDirection { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "set `metric` to a throughput or latency that the rows have; \
                 the default is request_throughput",
            ),
        }
    }
}
