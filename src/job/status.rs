//! How far a job is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its GPUs.
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
    /// The supervisor died; submit the same work again to resume.
    Lost,
}

impl JobState {
    /// Whether nothing more will happen without a new call.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Work done and to be done, in units of the job's kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Units finished, such as scenario runs.
    pub done: f64,
    /// Units in all.
    pub total: f64,
    /// Seconds left at the present pace; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
}

/// `status.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    pub state: JobState,
    /// What happens now, for a person.
    pub message: String,
    pub progress: Progress,
    /// Process id of the supervisor.
    pub pid: u32,
    pub started: String,
    pub updated: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// SHA-256 of `result.json`, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_sha256: Option<String>,
    /// Live numbers of the job's kind.
    #[serde(default)]
    pub live: Value,
}
