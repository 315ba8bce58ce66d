//! What a job's `status.json` tells of the run that is under way.

use serde::{Deserialize, Serialize};

use super::load::LiveCounts;
use crate::launch::GpuReading;

/// `status.live` of a benchmark while load runs, written every second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// Framework, candidate, scenario and repeat.
    pub run: String,
    /// Requests of the run.
    pub total: usize,
    pub elapsed_s: f64,
    /// Requests that ended well a second, since the run began.
    pub requests_per_s: f64,
    /// Output tokens a second, since the last reading.
    pub tokens_per_s: f64,
    pub counts: LiveCounts,
    /// The plan's GPUs as NVML reads them; empty without NVML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuReading>,
}
