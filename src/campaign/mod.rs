//! The durable unit: one campaign makes one model as fast as it gets on one machine.
//!
//! A campaign is a folder under `runs/` of the workspace. Its one truth is the
//! event log `humanize/lineage.jsonl`; everything else is rendered from it.

pub mod checkout;
mod error;
pub mod events;
pub mod gates;
mod infer;
mod locate;
pub mod log;
mod manifest;
mod open;
mod record;
mod state;
mod status;

pub use error::CampaignError;
pub use events::EventKind;
pub use locate::{Found, campaigns, locate, workspace};
pub use log::{Appended, Event, EventLog, FileHash, NewEvent};
pub use open::{HardwareRequest, OpenRequest, open};
pub use record::note;
pub use state::{Attempt, AttemptState, Job, JobKind, Phase, Recorded, State};
pub use status::{CampaignStatus, status};

use std::path::{Path, PathBuf};

use checkout::Checkout;
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
        World {
            checkout: Checkout::read(state.checkout().map(PathBuf::as_path), &self.root),
            ..World::default()
        }
    }

    /// Rows of its benchmarks.
    pub fn rows_path(&self) -> PathBuf {
        self.root.join("benchmark/candidates.jsonl")
    }
}
