//! How a campaign began, and what was read before anything was measured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::campaign::OpenRequest;
use crate::history::Notes;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignOpened {
    /// What was given or inferred.
    pub inputs: OpenRequest,
    /// Version of sota-loop.
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogAdopted {
    /// Number and hash of the last event that was there.
    pub seq: u64,
    pub sha256: String,
    pub reason: String,
}

/// Rests on the notes and on their JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecorded {
    pub notes: Notes,
    pub notes_path: PathBuf,
}
