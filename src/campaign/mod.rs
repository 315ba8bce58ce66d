//! The durable unit: one campaign makes one model as fast as it gets on one machine.
//!
//! A campaign is a folder under `runs/` of the workspace. Its one truth is the
//! event log `humanize/lineage.jsonl`; everything else is rendered from it.

mod error;
mod event_log;
mod infer;
mod locate;
mod manifest;
mod open;
mod record;
mod status;

pub use error::CampaignError;
pub use event_log::{Appended, Event, EventKind, EventLog, FileHash, NewEvent};
pub use locate::{Found, campaigns, locate, workspace};
pub use open::{HardwareRequest, OpenRequest, open};
pub use record::{note, smoke_files};
pub use status::{CampaignStatus, Phase, status};

use std::path::{Path, PathBuf};

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

    /// Rows of its benchmarks.
    pub fn rows_path(&self) -> PathBuf {
        self.root.join("benchmark/candidates.jsonl")
    }
}
