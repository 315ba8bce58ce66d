//! The durable unit: one campaign makes one model as fast as it gets on one machine.
//!
//! A campaign is a folder under `runs/` of the workspace. Its one truth is the
//! event log `humanize/lineage.jsonl`; everything else is rendered from it.

mod brief;
pub mod checkout;
mod checks;
mod error;
pub mod events;
mod finish;
pub mod gates;
mod improvement;
mod infer;
mod infer_plan;
mod jobs;
mod ledger;
mod locate;
pub mod log;
mod open;
mod outlook;
mod record;
mod render;
#[cfg(test)]
mod sample;
mod seal;
mod seen;
mod state;
mod status;

pub use error::CampaignError;
pub use events::EventKind;
pub use finish::{FinishRecord, FinishRequest, finish};
pub use infer_plan::from_plan;
pub use jobs::{
    may_benchmark, of_job, record_benchmark, record_capture, revalidation_plan, settle,
    workload_sha256,
};
pub use ledger::{
    AttemptRequest, AttemptStep, BlockerRequest, LedgerEntry, LedgerKind, LedgerRecord,
    RoundEndRequest, after_checks, update as update_ledger,
};
pub use locate::{Found, campaigns, locate, workspace};
pub use log::{Appended, Event, EventLog, FileHash, NewEvent};
pub use open::{Correctness, HardwareRequest, OpenRequest, Opened, open};
pub use record::{
    GapQuestion, ProfileFacts, capture as record_captured, digest as record_digest,
    gap as record_gap, gap_question, gap_rows, history as record_history, note,
    pipeline as record_pipeline, profile as record_profile, tried_edits,
};
pub use render::{Rendered, all as render};
pub use seal::{
    Changes, SealFile, commands as sealed_commands, read as read_seal, revalidation, seal,
};
pub use state::{Attempt, AttemptState, Cited, Job, JobKind, Phase, Recorded, State};
pub use status::{AttemptBrief, CampaignStatus, GapBrief, of as status_of, status};

use std::path::{Path, PathBuf};

use gates::World;

/// A campaign by its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    pub id: String,
    pub root: PathBuf,
}

impl Campaign {
    /// The campaign whose folder this is.
    pub fn at(root: &Path) -> Self {
        let id = root.file_name().unwrap_or_default();
        Self {
            id: id.to_string_lossy().into_owned(),
            root: root.to_path_buf(),
        }
    }

    pub fn log(&self) -> EventLog {
        EventLog::at(&self.root.join("humanize/lineage.jsonl"))
    }

    /// The log, folded.
    pub fn state(&self) -> Result<State, CampaignError> {
        let log = self.log();
        State::fold(log.path(), &log.read()?)
    }

    /// What gates rest on beside the log, as it is now.
    pub fn look(&self, state: &State) -> World {
        seen::look(&self.root, state)
    }

    /// Rows of its benchmarks.
    pub fn rows_path(&self) -> PathBuf {
        self.root.join("benchmark/candidates.jsonl")
    }
}
