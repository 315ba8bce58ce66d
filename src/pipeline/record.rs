//! What an analysis gives back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::trace::{KernelCategory, Stage, StepSource};

/// Passes, layers and layer types of a trace.
///
/// Times are microseconds; `start_us` counts from the trace's first event,
/// where viewers put their zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineRecord {
    pub trace: PathBuf,
    /// How passes were told apart.
    pub passes_by: StepSource,
    pub passes: Vec<PassRow>,
    /// Layers of a complete pass; absent when no pass has any.
    pub layers_per_pass: u32,
    pub chosen_pass: ChosenPass,
    pub layers: Vec<LayerRow>,
    pub layer_types: Vec<LayerType>,
    pub hot_kernels: Vec<HotKernel>,
    /// Kernels of single layers, one by one.
    pub flows: Vec<LayerFlow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_comparison: Option<Comparison>,
    /// The same layer types in the second trace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub type_comparisons: Vec<Comparison>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_check: Option<ConfigCheck>,
    pub perfetto: Vec<PerfettoRange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perfetto_path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_path: Option<PathBuf>,
    pub warnings: Vec<String>,
    /// Whether lists were shortened; `total` says what they held.
    pub truncated: bool,
    pub total: Totals,
    /// The call that makes sense next.
    pub next: String,
}

/// Lengths of the lists before they were shortened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub passes: u32,
    pub layers: u32,
    pub hot_kernels: u32,
    pub flows: u32,
    pub perfetto: u32,
}

/// One forward pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PassRow {
    pub index: u32,
    pub stage: Stage,
    /// Requests, where the engine annotated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Tokens, where the engine annotated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    pub start_us: f64,
    /// First kernel's start to last kernel's end.
    pub wall_us: f64,
    /// Part of it in which a kernel ran.
    pub busy_us: f64,
    /// Layers found; 0 where none repeat.
    pub layers: u32,
    pub kernels: u32,
    /// Whether its wall time is the steady one of its kind.
    pub steady: bool,
    pub state: PassState,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where a pass stands among those of its stage, batch and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassState {
    /// Near the wall time of the longest stretch between changes.
    Steady,
    /// Before the first steady one.
    Cold,
    /// Further from it, after that.
    Unsteady,
    /// Too few passes of its kind to tell.
    Alone,
    /// The capture began or ended inside it.
    Cut,
    /// It has no layers.
    NoLayers,
}

impl PassState {
    /// The name that the state has in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Cold => "cold",
            Self::Unsteady => "unsteady",
            Self::Alone => "alone",
            Self::Cut => "cut",
            Self::NoLayers => "no_layers",
        }
    }
}

/// The pass that was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChosenPass {
    pub index: u32,
    pub reason: String,
}

/// One layer of the chosen pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerRow {
    pub index: u32,
    pub r#type: String,
    pub start_us: f64,
    /// First kernel's start to last kernel's end.
    pub wall_us: f64,
    /// Sum of the durations; above `wall_us` where kernels overlap.
    pub sum_us: f64,
    /// Part of `wall_us` in which no kernel ran.
    pub idle_us: f64,
    pub kernels: u32,
    /// Sum of durations in microseconds by kernel category.
    pub by_category: BTreeMap<KernelCategory, f64>,
}

/// Layers that are built of the same kernels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerType {
    pub r#type: String,
    pub count: u32,
    pub avg_wall_us: f64,
    pub avg_sum_us: f64,
    pub avg_idle_us: f64,
    /// Kernels that most layers of the type have.
    pub kernels: u32,
    /// Of the layers with that many kernels the one whose wall time is nearest
    /// the median, away from the ends of the pass where there is a choice.
    pub representative: u32,
    /// Share of the chosen pass's wall time, percent.
    pub pass_share_pct: f64,
    /// The layers, as ranges: `0-1, 8`.
    pub members: String,
    /// Average sum of durations in microseconds by kernel category.
    pub by_category: BTreeMap<KernelCategory, f64>,
}

/// A kernel's role in a layer type: the same kernel at another place in the
/// layer is another role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HotKernel {
    pub r#type: String,
    /// Short name.
    pub name: String,
    pub category: KernelCategory,
    /// Which of the layer's launches of this kernel it is, from 1.
    pub occurrence: u32,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    /// Layers of the type that have it.
    pub layers: u32,
    pub avg_us: f64,
    /// Share of the type's kernel time, percent.
    pub share_pct: f64,
}

/// The kernels of one layer in order of start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerFlow {
    pub layer: u32,
    pub r#type: String,
    pub kernels: Vec<FlowRow>,
}

/// One kernel or copy of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowRow {
    /// Short name.
    pub name: String,
    pub category: KernelCategory,
    pub stream: u32,
    /// From the layer's start.
    pub start_us: f64,
    pub dur_us: f64,
    /// From the end of everything before it to its start; negative where it
    /// began before that end.
    pub gap_us: f64,
    /// Share of the layer's sum of durations, percent.
    pub share_pct: f64,
    pub grid: [u32; 3],
    pub block: [u32; 3],
}

/// Two layers, or one layer type in two traces, kernel by kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    pub a: String,
    pub b: String,
    /// Sums of durations.
    pub a_us: f64,
    pub b_us: f64,
    pub steps: Vec<DiffRow>,
    /// How many steps of each kind there are.
    pub counts: BTreeMap<Change, u32>,
}

/// One step of an aligned comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiffRow {
    pub change: Change,
    pub category: KernelCategory,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_us: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b_us: Option<f64>,
    /// `b_us` less `a_us`, with 0 for a side that lacks the kernel.
    pub delta_us: f64,
}

/// What `b` does about a kernel of `a`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Within 5% or half a microsecond.
    Same,
    Slower,
    Faster,
    /// Only `b` has it.
    Insert,
    /// Only `a` has it.
    Delete,
}

impl Change {
    /// The name that the change has in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Insert => "insert",
            Self::Delete => "delete",
        }
    }
}

/// What the model's configuration says, against what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigCheck {
    pub path: PathBuf,
    pub model_type: String,
    /// Layers that the configuration gives.
    pub layers: u32,
    /// Type of each layer that it gives, as ranges: `dense: 0-1`.
    pub types: Vec<String>,
    pub agrees: bool,
    pub disagreements: Vec<String>,
    /// What the configuration tells and the kernels do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A stretch of time for a viewer: seconds from the trace's first event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerfettoRange {
    pub label: String,
    pub start_s: f64,
    pub end_s: f64,
}
