//! What the agent learned, each with what shows it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{CardRef, Citation, Lines, Provenance, Seen};
use crate::trace::Stage;

/// What kind of cause holds the target back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RootCauseKind {
    /// A kernel, or kernels that could be one.
    Kernel,
    /// Work that could run beside other work.
    Overlap,
    /// Scheduling, batching or host code.
    Scheduler,
    /// KV-cache capacity or other memory.
    Memory,
    /// Launch parameters: no attempt, but `target_flags` in a revalidation.
    Configuration,
}

/// Why the target is slower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootCause {
    /// The slow stage.
    pub stage: Stage,
    /// Scenario, where it is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    pub cause: RootCauseKind,
    /// In a few sentences: what is slow, and why.
    pub summary: String,
    /// Rows of profile, comparison or attribution tables that show it.
    pub rows: Vec<Citation>,
    /// Places in the target's checkout.
    pub source_paths: Vec<Lines>,
    /// Changes consulted: at least one of the target's and one of the leader's
    /// history, or what the notes found absent.
    #[serde(default)]
    pub cards: Vec<CardRef>,
    /// What the layers of the pass show, for `layer-pipeline.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<String>,
}

/// A way to be faster that somebody's source shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceIdea {
    /// In a sentence: what to change and what it gives.
    pub claim: String,
    /// Rows of profiles that it bears on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiler_rows: Vec<Citation>,
    /// Rows of layer analyses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_rows: Vec<Citation>,
    /// Counter digests, as absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digests: Vec<PathBuf>,
    /// Changes of the PR history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<CardRef>,
    /// Where the code stands that shows it.
    pub provenance: Vec<Provenance>,
}

/// An idea that evidence speaks against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedIdea {
    pub claim: String,
    /// Why it was dropped.
    pub reason: String,
    /// Rows that speak against it, and the rows of the kernels or causes that
    /// it would have changed; at least one.
    pub evidence: Vec<Citation>,
    /// The counter edit that it was: not proposed again by `ncu_digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_rule: Option<String>,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockerCause {
    /// The hardware lacks what is needed.
    HardwareSupport,
    /// A package or library is not to be had.
    MissingDependency,
    /// A backend or build does not support the model or the device.
    UnsupportedBackend,
    /// The weights cannot be loaded in the same form.
    WeightsNotLoadableFairly,
    /// Counters may not be read here.
    CounterPermission,
    /// No profiler can be attached.
    CaptureImpossible,
    /// A framework does not start or finish here.
    FrameworkFails,
}

/// Something outside stands in the way, and the server has seen it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    pub cause: BlockerCause,
    pub detail: String,
    /// The framework that it stops, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    pub seen: Seen,
    /// The line of the command's or job's output that shows the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_by: Option<String>,
    /// Whether the framework's own program, rows or files were looked at.
    #[serde(default)]
    pub of_framework: bool,
}

impl Blocker {
    /// Whether what was seen shows this cause.
    pub fn proves(&self, cause: BlockerCause) -> bool {
        let ran = matches!(self.seen, Seen::Command(_) | Seen::Job { .. });
        self.cause == cause && ran && self.shown_by.is_some()
    }

    /// Whether it excuses a framework from being measured.
    pub fn excuses(&self, framework: &str) -> bool {
        let is_fact = match self.seen {
            Seen::Command(_) | Seen::Job { .. } => self.shown_by.is_some(),
            Seen::MissingPath { .. } | Seen::Excluded { .. } => true,
        };
        self.framework.as_deref() == Some(framework) && self.of_framework && is_fact
    }
}
