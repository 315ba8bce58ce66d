//! Timelines from files: our own, or results of other clients.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::record::{Line, RunFacts};
use super::{Shape, Timeline};
use crate::bench::import::{ImportError, read_result};
use crate::bounded_lines::BoundedLines;
use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// Longest line of a timeline.
const LONGEST_LINE: u64 = 4 << 20;

/// A file that gives no timeline.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("{}:{line}: no timeline: {problem}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("{}: it has {runs} runs, and none has number {wanted}", path.display())]
    NoSuchRun {
        path: PathBuf,
        runs: usize,
        wanted: usize,
    },
    #[error("{}: no request of the run got a token", path.display())]
    Empty { path: PathBuf },
}

impl From<TimelineError> for Fault {
    fn from(error: TimelineError) -> Self {
        let message = error.to_string();
        match error {
            TimelineError::Disk(error) => error.into(),
            TimelineError::Import(error) => error.into(),
            TimelineError::NoSuchRun { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "count the runs of the file from 1",
            ),
            TimelineError::Line { path, .. } | TimelineError::Empty { path } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "give a timeline.jsonl, the JSON of `vllm bench serve --save-result --save-detailed`, or the JSONL of SGLang's client with `--output-details`",
            )
            .with_evidence(path.display().to_string()),
        }
    }
}

/// Reads a timeline, or makes one from another client's result. Of several
/// runs in a result, `run` counts from 1; without it the last is taken.
pub fn read_any(path: &Path, run: Option<usize>) -> Result<Timeline, TimelineError> {
    if is_timeline(path)? {
        return read_timeline(path);
    }
    let mut runs = read_result(path)?;
    let wanted = run.unwrap_or(runs.len());
    if wanted == 0 || wanted > runs.len() {
        return Err(TimelineError::NoSuchRun {
            path: path.to_path_buf(),
            runs: runs.len(),
            wanted,
        });
    }
    Timeline::of_recording(&runs.swap_remove(wanted - 1)).ok_or_else(|| TimelineError::Empty {
        path: path.to_path_buf(),
    })
}

fn is_timeline(path: &Path) -> Result<bool, DiskError> {
    let mut head = Vec::new();
    open(path)?
        .take(64)
        .read_to_end(&mut head)
        .map_err(|source| DiskError::Read {
            path: path.to_path_buf(),
            source,
        })?;
    Ok(head.starts_with(b"{\"kind\":"))
}

fn open(path: &Path) -> Result<std::fs::File, DiskError> {
    std::fs::File::open(path).map_err(|source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    })
}

fn read_timeline(path: &Path) -> Result<Timeline, TimelineError> {
    let mut timeline = Timeline {
        run: RunFacts::default(),
        requests: Vec::new(),
        windows: Vec::new(),
        server: Vec::new(),
        shape: Shape::default(),
    };
    let mut lines = BoundedLines::new(BufReader::new(open(path)?), LONGEST_LINE);
    let failed = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    for number in 1.. {
        let Some(text) = lines.next_line().map_err(failed)? else {
            break;
        };
        let line = serde_json::from_slice(text).map_err(|error| TimelineError::Line {
            path: path.to_path_buf(),
            line: number,
            problem: error.to_string(),
        })?;
        match line {
            Line::Run(run) => timeline.run = run,
            Line::Shape(shape) => timeline.shape = shape,
            Line::Server(point) => timeline.server.push(point),
            Line::Window(window) => timeline.windows.push(window),
            Line::Request(request) => timeline.requests.push(request),
        }
    }
    Ok(timeline)
}
