//! What can be wrong with a plan.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// A plan that cannot be used, with the place of the mistake.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{place}: {problem}")]
    Written {
        /// `plan.yaml:12`, or `inline plan:12`.
        place: String,
        problem: String,
        hint: String,
        /// The lines around it, with a caret.
        snippet: String,
    },
    #[error("{place}: `{key}`: {problem}")]
    Meaning {
        place: String,
        key: String,
        problem: String,
        hint: String,
    },
}

impl From<PlanError> for Fault {
    fn from(error: PlanError) -> Self {
        let message = error.to_string();
        match error {
            PlanError::Disk(error) => error.into(),
            PlanError::Written { hint, snippet, .. } => {
                Fault::new(FaultCode::InvalidPlan, message, hint).with_evidence(snippet)
            }
            PlanError::Meaning { hint, .. } => Fault::new(FaultCode::InvalidPlan, message, hint),
        }
    }
}

/// Where a plan came from, for messages.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    File(PathBuf),
    Inline,
}

impl Origin {
    pub fn at(&self, line: Option<u64>) -> String {
        let name = match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline => "inline plan".to_owned(),
        };
        match line {
            Some(line) => format!("{name}:{line}"),
            None => name,
        }
    }
}
