//! What an attribution answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LookAt, UnequalPrompts};
use crate::gap::Attribution;

/// The difference of two runs, split over its causes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    pub target: RunView,
    pub leader: RunView,
    /// Wall time of the target less the leader's, in seconds.
    pub difference_s: f64,
    /// Set where the two servers computed different numbers of prompt tokens:
    /// the first thing to mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unequal_prompts: Option<UnequalPrompts>,
    /// How well the model reproduces each run.
    pub model: ModelFit,
    /// Causes that sum to the difference; `unexplained` is the last.
    pub attribution: Vec<Attribution>,
    /// `kernels`, `scheduler`, `memory`, `configuration`, `host` or `client`:
    /// what governs the largest cause. Absent when the target is not slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub where_to_look: Option<String>,
    /// Flags and sources of the target that govern it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<LookAt>,
    /// The target's wall time by the model with one thing as the leader has
    /// it, the most useful first. These do not sum to the difference.
    pub what_if: Vec<WhatIf>,
    /// What the timelines show, in words.
    pub observations: Vec<String>,
    /// What a reader must know before trusting it.
    pub warnings: Vec<String>,
}

/// One run in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    pub framework: String,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// Most requests decoding at once.
    pub peak_decoding: f64,
    pub mean_decoding: f64,
    /// Requests of each wave of admission.
    pub waves: Vec<usize>,
    /// Time after the last moment at which half of the peak decoded, in seconds.
    pub tail_s: f64,
    pub mean_ttft_s: f64,
    pub preemptions: usize,
    /// Tokens that the KV cache holds, where the server tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_capacity_tokens: Option<f64>,
}

/// Wall times by the model, and how far they are off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelFit {
    pub target_s: f64,
    pub leader_s: f64,
    pub target_error_pct: f64,
    pub leader_error_pct: f64,
}

impl Explanation {
    /// Whether the difference is smaller than what the model misses of the two
    /// runs: then its causes are noise.
    pub fn is_within_the_models_error(&self) -> bool {
        let missed = |pct: f64, wall_s: f64| (pct / 100.0 * wall_s).abs();
        let error = missed(self.model.target_error_pct, self.target.wall_s)
            + missed(self.model.leader_error_pct, self.leader.wall_s);
        self.difference_s.abs() <= error
    }
}

impl ModelFit {
    pub(super) fn new(model: [f64; 2], measured: [f64; 2]) -> Self {
        let error = |i: usize| 100.0 * (model[i] / measured[i] - 1.0);
        Self {
            target_s: model[0],
            leader_s: model[1],
            target_error_pct: error(0),
            leader_error_pct: error(1),
        }
    }
}

/// The target with one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhatIf {
    /// What would be as the leader has it.
    pub change: String,
    /// Wall time by the model.
    pub wall_s: f64,
    /// Change of the wall time; negative is faster.
    pub seconds: f64,
}

impl WhatIf {
    pub(super) fn new(change: &str, wall_s: f64, before: f64) -> Self {
        Self {
            change: change.to_owned(),
            wall_s,
            seconds: wall_s - before,
        }
    }
}
