//! What can go wrong with a campaign and its log.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error("the workspace {} cannot be used: {reason}", path.display())]
    WorkspaceRequired { path: PathBuf, reason: String },
    #[error("these cannot be inferred: {}", missing.join(", "))]
    NeedsInput {
        missing: Vec<String>,
        questions: Vec<String>,
    },
    #[error("there is no campaign `{name}`")]
    Unknown { name: String, known: Vec<String> },
    #[error("the workspace has no campaign")]
    None,
    #[error("several campaigns are open: {}", ids.join(", "))]
    Ambiguous { ids: Vec<String> },
    #[error("{}:{line}: {problem}", path.display())]
    BrokenChain {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("{} was opened with {field} {recorded}, not {asked}", id)]
    Different {
        id: String,
        field: String,
        recorded: String,
        asked: String,
    },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<CampaignError> for Fault {
    fn from(error: CampaignError) -> Self {
        let message = error.to_string();
        match error {
            CampaignError::Disk(error) => error.into(),
            CampaignError::WorkspaceRequired { .. } => Fault::new(
                FaultCode::WorkspaceRequired,
                message,
                "pass `workspace`: the absolute path of the project folder",
            ),
            CampaignError::NeedsInput { questions, .. } => {
                Fault::new(FaultCode::NeedsInput, message, questions.join(" "))
            }
            CampaignError::Unknown { known, .. } if !known.is_empty() => Fault::new(
                FaultCode::CampaignUnknown,
                message,
                format!("campaigns here: {}", known.join(", ")),
            ),
            CampaignError::Unknown { .. } | CampaignError::None => Fault::new(
                FaultCode::CampaignUnknown,
                message,
                "open one: campaign {\"action\": \"open\", \"model\": \"...\"}",
            ),
            CampaignError::Ambiguous { .. } => Fault::new(
                FaultCode::CampaignAmbiguous,
                message,
                "pass `campaign` with one of these ids",
            ),
            CampaignError::BrokenChain { path, line, .. } => Fault::new(
                FaultCode::LogTampered,
                message,
                "the event log is evidence and is never edited: restore it from a copy, or open a new campaign that supersedes this one",
            )
            .with_evidence(format!("{}:{line}", path.display())),
            CampaignError::Different { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "an open campaign keeps what it was opened with; leave the argument out to resume, or pass `supersedes` to start anew",
            ),
        }
    }
}
