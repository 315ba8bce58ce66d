//! What can go wrong with a campaign and its log.

use std::path::PathBuf;

use super::events::EventKind;
use super::gates::{Gate, GateState};
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
    #[error("{} does not end as the state folder has it: {problem}", log.display())]
    HeadMismatch {
        log: PathBuf,
        head: PathBuf,
        problem: String,
    },
    #[error("{}, byte {offset}: {problem}", path.display())]
    BrokenTail {
        path: PathBuf,
        offset: u64,
        problem: String,
    },
    #[error("{}:{line}: the body of this {kind:?} event cannot be read: {source}", path.display())]
    Undecodable {
        path: PathBuf,
        line: u64,
        kind: EventKind,
        source: serde_json::Error,
    },
    #[error("an event for {} cannot be written as JSON: {source}", path.display())]
    Body {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{}: the rows of job {job_id} are not those that it wrote: {problem}", path.display())]
    RowsTampered {
        path: PathBuf,
        job_id: String,
        problem: String,
    },
    #[error("{}: {problem}", path.display())]
    SealBroken { path: PathBuf, problem: String },
    #[error("gate {} is closed: {}", gate.name(), missing.join("; "))]
    Refused {
        gate: Gate,
        missing: Vec<String>,
        next: String,
    },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<GateState> for CampaignError {
    fn from(gate: GateState) -> Self {
        Self::Refused {
            gate: gate.gate,
            missing: gate.missing,
            next: gate.next,
        }
    }
}

/// What to do about a log that was changed.
const TAMPERED: &str = "the event log is evidence and is never edited: restore it from a copy, or open a new campaign that supersedes this one";

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
            CampaignError::BrokenChain { path, line, .. } => {
                Fault::new(FaultCode::LogTampered, message, TAMPERED)
                    .with_evidence(format!("{}:{line}", path.display()))
            }
            CampaignError::BrokenTail { path, offset, .. } => {
                Fault::new(FaultCode::LogTampered, message, TAMPERED)
                    .with_evidence(format!("{}: byte {offset}", path.display()))
            }
            CampaignError::HeadMismatch { log, head, .. } => {
                Fault::new(FaultCode::LogTampered, message, TAMPERED)
                    .with_evidence(log.display().to_string())
                    .with_evidence(head.display().to_string())
            }
            CampaignError::Undecodable { path, line, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "the log was written by another version of sota-loop: use that version, or a newer one",
            )
            .with_evidence(format!("{}:{line}", path.display())),
            CampaignError::RowsTampered { path, .. } => Fault::new(
                FaultCode::LogTampered,
                message,
                "measured rows are evidence and are never edited: restore the file from a copy, or measure again, for example with other repeats",
            )
            .with_evidence(path.display().to_string()),
            CampaignError::SealBroken { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "restore benchmark/seal.json, or open a campaign that supersedes this one",
            )
            .with_evidence(path.display().to_string()),
            CampaignError::Body { .. } => Fault::new(
                FaultCode::Internal,
                message,
                "this is a defect of sota-loop; please report it with the arguments of the call",
            ),
            CampaignError::Refused {
                gate,
                missing,
                next,
            } => Fault::refused(gate.name(), missing, next),
            CampaignError::Different { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "an open campaign keeps what it was opened with; leave the argument out to resume, or pass `supersedes` to start anew",
            ),
        }
    }
}
