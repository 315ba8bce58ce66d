//! What the first `start_loop` fixes for good.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gap::SealedLeader;

/// Rests on `benchmark/seal.json`, which holds the plan and every command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    pub path: PathBuf,
    /// The baseline jobs that it rests on, the deciding one last.
    pub job_ids: Vec<String>,
    pub workload_sha256: String,
    pub metric: String,
    pub frameworks: Vec<SealedFramework>,
    /// The best other candidate of each scenario and load.
    pub leaders: Vec<SealedLeader>,
    /// The target's best candidate of each scenario and load.
    pub targets: Vec<SealedLeader>,
}

/// One framework as it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFramework {
    pub framework: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its winners by scenario; more than one where scenarios differ.
    pub candidates: Vec<String>,
    /// The winner's command, for a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}
