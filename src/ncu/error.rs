//! Everything that can go wrong while reading, digesting or collecting a report.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};
use crate::references::ReferenceError;

/// What is wrong with the bytes of a report, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {problem}")]
pub struct Flaw {
    /// Offset in the file of the first byte that does not fit.
    pub offset: u64,
    pub problem: Problem,
}

/// The kinds of damage that the reader tells apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("not an Nsight Compute report: it starts with {found}, not with \"NVR\\0\"")]
    NotAReport { found: String },
    #[error("the file ends early: {needed} bytes of {what} expected, {left} left")]
    Truncated {
        what: &'static str,
        needed: u64,
        left: u64,
    },
    #[error("{0}")]
    Malformed(String),
    #[error("{what} is over the limit of {limit}; raise `ReadOptions` if the file is trusted")]
    TooLarge { what: &'static str, limit: u64 },
    #[error("reading failed: {0}")]
    Io(String),
}

impl Flaw {
    pub(super) fn malformed(offset: u64, what: impl Into<String>) -> Self {
        Self {
            offset,
            problem: Problem::Malformed(what.into()),
        }
    }

    pub(super) fn truncated(offset: u64, what: &'static str, needed: u64, left: u64) -> Self {
        Self {
            offset,
            problem: Problem::Truncated { what, needed, left },
        }
    }
}

/// A report, a table, a rule file or a tool that could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NcuError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: {flaw}", path.display())]
    Report { path: PathBuf, flaw: Flaw },
    #[error("{}: line {line}: {problem}", path.display())]
    Csv {
        path: PathBuf,
        line: u64,
        problem: String,
    },
    #[error("{}: the report holds no profiled launch", path.display())]
    Empty { path: PathBuf },
    #[error("kernel pattern {pattern:?}: {problem}")]
    Pattern { pattern: String, problem: String },
    #[error("no kernel of {} matches {pattern:?}; it holds: {}", path.display(), kernels.join(", "))]
    NoMatch {
        path: PathBuf,
        pattern: String,
        kernels: Vec<String>,
    },
    #[error("the digest rules are broken: {0}")]
    Rules(String),
    #[error("the digest rules are broken: {0}")]
    Reference(#[from] ReferenceError),
    #[error("`ncu` could not be used: {0}")]
    Tool(String),
}

impl From<NcuError> for Fault {
    fn from(error: NcuError) -> Self {
        let (code, hint) = match &error {
            NcuError::Disk(_) => {
                let NcuError::Disk(inner) = error else {
                    return Fault::new(FaultCode::Internal, "unreachable", "report it");
                };
                return inner.into();
            }
            NcuError::Report { flaw, .. } => (FaultCode::InvalidInput, flaw_hint(&flaw.problem)),
            NcuError::Csv { .. } => (
                FaultCode::InvalidInput,
                "export it again with `ncu --import REPORT --csv --page raw` (or `details`)",
            ),
            NcuError::Empty { .. } => (
                FaultCode::InvalidInput,
                "profile again; check `-k`, `-s` and `-c`, which decide which launches are kept",
            ),
            NcuError::Pattern { .. } => (
                FaultCode::InvalidArgument,
                "give a regular expression over kernel names, or leave `kernel` out",
            ),
            NcuError::NoMatch { .. } => (
                FaultCode::InvalidArgument,
                "choose one of the kernels named in the message",
            ),
            NcuError::Rules(_) | NcuError::Reference(_) => (
                FaultCode::InvalidInput,
                "mend the file in the folder that SOTA_REFERENCES names, or unset it to use the built-in rules",
            ),
            NcuError::Tool(_) => (
                FaultCode::NotReadable,
                "install Nsight Compute on that host or put `ncu` on PATH",
            ),
        };
        let evidence = match &error {
            NcuError::Report { path, .. }
            | NcuError::Csv { path, .. }
            | NcuError::Empty { path }
            | NcuError::NoMatch { path, .. } => Some(path.display().to_string()),
            _ => None,
        };
        let fault = Fault::new(code, error.to_string(), hint);
        match evidence {
            Some(path) => fault.with_evidence(path),
            None => fault,
        }
    }
}

fn flaw_hint(problem: &Problem) -> &'static str {
    match problem {
        Problem::NotAReport { .. } => {
            "give a .ncu-rep file, or the output of `ncu --import REPORT --csv --page raw|details`"
        }
        Problem::Truncated { .. } => "copy the file again, or profile again: its end is missing",
        Problem::Malformed(_) => {
            "copy the file again and compare checksums; if `ncu --import` reads it, report a defect"
        }
        Problem::TooLarge { .. } => "profile fewer launches into one report (`-c`)",
        Problem::Io(_) => "check the disk or the network file system",
    }
}
