//! What an analysis is asked for, and what it gives back.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attribute::{Confidence, SiteMethod};
use crate::detail::Detail;
use crate::trace::{KernelCategory, Stage, StepSource};

/// What to analyse.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriageRequest {
    /// Trace file (.json, .json.gz, .json.zst) or a folder of them.
    pub input: PathBuf,
    /// Trace or folder of the same engine and model without CUDA graphs: gives replayed kernels their source lines.
    #[serde(default)]
    pub mapping_input: Option<PathBuf>,
    /// Trace or folder of another engine on the same workload, to compare with.
    #[serde(default)]
    pub compare_input: Option<PathBuf>,
    /// The engine that wrote `input`: sglang, vllm, tensorrt-llm or tokenspeed; told from the trace when absent.
    #[serde(default)]
    pub framework: Option<String>,
    /// Kernels below this share of their stage's kernel time are summed up in one row. Percent, 0 to 100, default 1.0.
    #[serde(default)]
    pub min_share_pct: Option<f64>,
    /// The rank to analyse where a folder holds several; default the lowest.
    #[serde(default)]
    pub rank: Option<u32>,
    /// `summary` (default) keeps the tables short, `full` gives every row.
    #[serde(default)]
    pub detail: Detail,
}

/// What the traces say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriageRecord {
    /// The engine that wrote the trace, where it shows.
    pub framework: Option<String>,
    /// The traces that were read.
    pub files: Vec<FileRecord>,
    pub stages: Vec<StageRecord>,
    /// Two engines side by side, by stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<StageComparison>,
    /// Collectives over ranks, where a folder holds several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<RankSkew>,
    /// The written report, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_path: Option<PathBuf>,
    /// The exact next call that makes sense.
    pub next: String,
    pub warnings: Vec<String>,
    /// Whether rows were left out of this record.
    pub truncated: bool,
    /// Rows of all tables, those left out included.
    pub total: u32,
}

/// A trace that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    pub path: PathBuf,
    pub role: FileRole,
    pub rank: Option<u32>,
    pub events: u64,
    pub kernels: u64,
    /// How its steps were found.
    pub steps_from: StepSource,
}

/// What a trace was read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    Input,
    Mapping,
    /// Taken while CUDA graphs were captured.
    GraphCapture,
    Compare,
    /// Another rank of the input.
    Rank,
}

/// One stage of serving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageRecord {
    pub stage: Stage,
    /// Steps with GPU work.
    pub steps: u32,
    /// Time charged to the steps on the GPU's clock, microseconds: the work and the gaps before and in it.
    pub wall_us: f64,
    /// Time in which anything ran on the GPU, microseconds.
    pub busy_us: f64,
    /// `wall_us` less `busy_us`.
    pub idle_us: f64,
    /// Time in which only communication ran, microseconds.
    pub exposed_communication_us: f64,
    /// Time in which only copies and fills ran, microseconds.
    pub memcpy_us: f64,
    /// Summed duration of the stage's kernels, microseconds: the whole of `share_pct`.
    pub kernel_time_us: f64,
    /// Whether the GPU mostly waited for the CPU to launch.
    pub launch_bound: bool,
    pub bubbles: Vec<Bubble>,
    /// Steps by requests and tokens.
    pub shapes: Vec<ShapeRecord>,
    pub kernels: Vec<KernelRow>,
    pub overlap: Vec<OverlapRow>,
    pub fusion: Vec<FusionRow>,
}

/// Steps of one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShapeRecord {
    /// Requests in the step.
    pub batch: Option<u32>,
    /// Tokens in the step; for decode, where not annotated, absent.
    pub tokens: Option<u32>,
    pub steps: u32,
    /// Mean over these steps, microseconds.
    pub wall_us: f64,
    /// Mean over these steps, microseconds.
    pub busy_us: f64,
    /// Kernels of one step, in the middle of these steps.
    pub kernels: u32,
    /// Graph replays of one step: one for a whole-pass graph, many for a piecewise one.
    pub graph_replays: u32,
    /// Kernels in the largest replay of one step.
    pub replay_kernels: u32,
}

/// Idle GPU time of one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bubble {
    pub cause: BubbleCause,
    pub us: f64,
    pub count: u32,
    /// Who held the GPU back, most time first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Holder>,
}

/// Why the GPU stood idle.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BubbleCause {
    /// Inside a step, the CPU had not launched the next work yet, or the launch was still under way.
    LaunchBound,
    /// The CPU sat in a blocking call.
    HostSync,
    /// Between two steps, the engine had not launched the next one.
    SchedulerGap,
    /// The next work was queued, and waited for another stream or an event.
    StreamWait,
    /// The next work was queued: the pause that a stream needs between two kernels.
    Pipelined,
    /// The work's launch is not in the trace.
    Unknown,
}

/// What the launching thread was in while the GPU waited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Operator or runtime call.
    pub operator: Option<String>,
    /// Python line, `path:line function`.
    pub location: Option<String>,
    pub us: f64,
    pub count: u32,
}

/// One kernel name of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelRow {
    pub name: String,
    pub category: KernelCategory,
    /// Summed duration, microseconds.
    pub gpu_time_us: f64,
    /// Part of the stage's summed kernel time, percent.
    pub share_pct: f64,
    pub launches: u32,
    /// Where its launches were asked for, most time first.
    pub locations: Vec<Location>,
    /// The innermost framework operator around most of its time.
    pub cpu_op: Option<String>,
    /// Whether it sums up kernels that have no row of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remainder: bool,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    pub path: String,
    pub line: Option<u32>,
    pub function: String,
    /// Part of the kernel's time, percent.
    pub share_pct: f64,
    /// How the place was found.
    pub method: SiteMethod,
    pub confidence: Confidence,
    /// Class of the module around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The line of the model's own file that led there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How a kernel's time relates to other streams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverlapRow {
    pub name: String,
    pub category: KernelCategory,
    pub launches: u32,
    /// Time from the end of its predecessor on the stream, microseconds.
    pub total_us: f64,
    /// Nothing ran on another stream, microseconds.
    pub exposed_us: f64,
    /// Something ran on another stream, microseconds.
    pub hidden_us: f64,
    /// Computation ran on another stream, microseconds.
    pub hidden_by_compute_us: f64,
    /// `exposed_us` as a part of the stage's busy time, percent.
    pub exposed_share_pct: f64,
    /// Over all launches: how many follow their predecessor on the stream without a pause, percent.
    pub tight_pct: f64,
    /// The most frequent kernel before it on the stream.
    pub before: Option<String>,
    /// The most frequent kernel after it on the stream.
    pub after: Option<String>,
    pub dependency: Dependency,
    pub advice: Advice,
}

/// Whether a kernel could run beside its neighbours, judged by all its launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dependency {
    /// Neighbours of the same kind, back to back: likely one needs the other's result.
    Chained,
    /// Neighbours or pauses vary.
    Loose,
}

/// What the overlap table suggests for a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Exposed communication: run it beside computation.
    Overlap,
    /// Small exposed work between the same neighbours: merge it into one of them.
    Fuse,
    /// Small exposed work without fixed neighbours: move it to another stream or out of the step.
    Move,
    /// Already hidden: shortening it gains little.
    LeaveHidden,
    /// Computation: only a faster kernel or less work helps.
    FasterKernel,
}

/// One entry of the fusion catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FusionRow {
    pub pattern: String,
    pub status: FusionStatus,
    /// What it merges.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fuses: String,
    /// The engines that have it, with the release in which it was seen.
    pub available_in: String,
    /// Repository, file, and a name in it to look for.
    pub source: String,
    /// Times a step that the separate kernels ran back to back.
    pub separate_per_step: f64,
    /// Times a step that the merged kernel ran.
    pub fused_per_step: f64,
    /// Time in the stage of those separate kernels that the fusion takes away or absorbs, microseconds.
    pub separate_us: f64,
    /// The same as a part of the stage's kernel time, percent.
    pub share_pct: f64,
    /// What it needs of model or machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Kernels that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<FusionEvidence>,
}

/// Whether a fusion is in use.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FusionStatus {
    /// The separate kernels run back to back; no merged kernel was seen.
    Missing,
    /// Both were seen.
    Partial,
    /// The merged kernel runs; its separate form was not seen.
    Active,
}

/// A kernel that shows a fusion or its absence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FusionEvidence {
    pub kernel: String,
    pub launches: u32,
    pub gpu_time_us: f64,
}

/// One stage of two engines side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageComparison {
    pub stage: Stage,
    pub input: CompareSide,
    pub compare: CompareSide,
    /// What the two sides have in common, such as `batch 4`.
    pub matched_on: String,
    /// `input` less `compare`, microseconds a step; positive where `input` is slower.
    pub gap_us: f64,
    /// The same as a part of the compared step, percent.
    pub gap_pct: f64,
    /// Classes of work, largest difference first; `difference_us` adds up to `gap_us`.
    pub classes: Vec<ClassComparison>,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareSide {
    pub framework: Option<String>,
    pub steps: u32,
    /// Mean wall time a step, microseconds.
    pub wall_us: f64,
    pub busy_us: f64,
    pub kernels: f64,
}

/// One class of work of two engines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassComparison {
    pub class: OpClass,
    /// Microseconds a step.
    pub input_us: f64,
    /// Microseconds a step.
    pub compare_us: f64,
    pub difference_us: f64,
    pub winner: Winner,
    /// Part of the whole difference between the two steps, percent; negative where it works against it.
    pub gap_share_pct: f64,
    /// The heaviest kernels of the class in `input`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_kernels: Vec<String>,
    /// The heaviest kernels of the class in `compare`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compare_kernels: Vec<String>,
}

/// Which side needs less time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    Input,
    Compare,
    /// Within one percent of each other, or below a microsecond apart.
    Even,
}

/// What a kernel does in a layer, from its kind and its place in the order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OpClass {
    QkvGemm,
    Attention,
    OProj,
    Norm,
    Rope,
    KvCache,
    Mlp,
    Moe,
    LinearAttention,
    Sampling,
    LmHead,
    Embedding,
    Communication,
    OtherGemm,
    /// Copies, fills, bookkeeping and what has no other class.
    Other,
    /// Nothing ran.
    Idle,
}

/// Collectives matched over ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RankSkew {
    pub ranks: Vec<u32>,
    pub collectives: Vec<CollectiveRow>,
}

/// One kind of collective over all ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectiveRow {
    pub name: String,
    /// Times that it was matched on every rank.
    pub count: u32,
    /// Mean time from the first rank's arrival to the last's, microseconds.
    pub skew_us: f64,
    /// Mean time that a rank waited for the last to arrive, microseconds.
    pub waiting_us: f64,
    /// Mean time from the last arrival to a rank's end, microseconds.
    pub transfer_us: f64,
    /// The rank that arrived last most often, and how often, percent.
    pub last_rank: u32,
    pub last_rank_pct: f64,
}
