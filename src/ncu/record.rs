//! The digest's request and result: plain data, the same on the command line,
//! in the MCP tool and in `digest.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::SpeedupScope;
use super::roofline::Roofline;
use crate::detail::Detail;

/// What to digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestRequest {
    /// Absolute path of a `.ncu-rep` file, or of what `ncu --import FILE --csv --page raw|details` printed.
    pub baseline: PathBuf,
    /// The same kernel after an edit; gives a comparison and a verdict.
    #[serde(default)]
    pub candidate: Option<PathBuf>,
    /// Regular expression on kernel names; by default all kernels are digested and the hottest gets the edit.
    #[serde(default)]
    pub kernel: Option<String>,
    /// Source file of the kernel, or a folder that holds it: hot lines are then quoted from it.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// `summary` (default): the hottest kernels and headline metrics; `full`: everything.
    #[serde(default)]
    pub detail: Detail,
    /// Edits that were tried before and did not help; they are not proposed again.
    #[serde(default)]
    pub tried: Vec<TriedEdit>,
}

/// An edit that had no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriedEdit {
    /// `next_edit.rule` of the digest that proposed it (or `next_edit.gate`, which stands for all rules of the gate).
    pub rule: String,
    /// Kernel that it was tried on, a part of its name; empty: any kernel.
    #[serde(default)]
    pub kernel: String,
}

/// What the reports say, and the one thing to do next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DigestRecord {
    /// Kernels of the candidate if there is one, else of the baseline, by total time.
    pub kernels: Vec<KernelDigest>,
    pub comparison: Option<Comparison>,
    /// Exactly one, for the hottest kernel (or the kernel that was compared).
    pub next_edit: Option<NextEdit>,
    pub environment: Environment,
    /// How to collect the metrics that this digest lacked; empty when none was needed.
    pub collect: Vec<String>,
    /// Where `digest.md` and `digest.json` were written.
    pub digest_path: Option<PathBuf>,
    /// The call that makes sense now.
    pub next: String,
    pub warnings: Vec<String>,
    /// Whether `kernels` leaves some out.
    pub truncated: bool,
    /// Kernels in the report that match.
    pub total: usize,
}

/// Where and how the report was recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    pub device: String,
    /// e.g. "9.0".
    pub compute_capability: String,
    pub ncu_version: String,
    pub driver_version: String,
    pub cuda_version: String,
    /// Whether ncu locked the clocks to base.
    pub clocks_locked: Option<bool>,
    /// `full`, `basic`, or what the metrics suggest.
    pub metric_set: String,
}

/// Equal launches of one kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelDigest {
    pub name: String,
    /// Number of launches that were taken together.
    pub launches: usize,
    /// Median over the launches; absent when it was not collected.
    pub duration_us: Option<f64>,
    /// (max - min) / median in percent.
    pub duration_spread_pct: f64,
    pub grid: [u64; 3],
    pub block: [u64; 3],
    /// What holds the kernel back.
    pub bound: Bound,
    /// The gate that says so, and a short reason.
    pub bound_reason: String,
    /// Largest first; shares of the time that a warp spends per issued instruction.
    pub stalls: Vec<Stall>,
    pub occupancy: Occupancy,
    /// Where it stands under the roofs of its device, if the report holds the counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roofline: Option<Roofline>,
    /// Metric name to median value, in base units (ns, bytes, hz, percent, counts).
    pub metrics: BTreeMap<String, f64>,
    /// Metrics that a rule needed and the report lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What ncu's own rules said, largest estimate first.
    pub rules: Vec<RuleSummary>,
    /// Lines or instructions with the most stall samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hotspots: Vec<Hotspot>,
}

/// What holds a kernel back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Dram,
    L2,
    L1,
    Shared,
    Tensor,
    Fma,
    /// Another arithmetic pipe (ALU, FP64, XU).
    Pipe,
    Issue,
    Latency,
    Launch,
    Tail,
    Spill,
    #[default]
    Unknown,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    pub reason: String,
    /// Share of warp latency.
    pub pct: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Occupancy {
    pub theoretical_pct: Option<f64>,
    pub achieved_pct: Option<f64>,
    /// `registers`, `shared_mem`, `blocks`, `warps` or `barriers`.
    pub limiter: Option<String>,
}

/// One message of one of ncu's rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSummary {
    pub rule: String,
    pub section: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub speedup_scope: SpeedupScope,
    /// ncu's estimate in percent: of run time (global), of the unit's efficiency (local).
    pub speedup_pct: Option<f64>,
}

/// A place in the code where warps wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hotspot {
    /// Share of the kernel's stall samples.
    pub pct: f64,
    pub samples: u64,
    /// Offset of the instruction in the function, in bytes; for a line, of its hottest instruction.
    pub offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The line itself, where the source is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The stall that most of the samples saw.
    pub stall: String,
}

/// Baseline against candidate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    pub verdict: Verdict,
    /// Candidate time / baseline time: below 1 is faster.
    pub duration_ratio: Option<f64>,
    /// Within ±this many percent a difference is noise.
    pub noise_pct: f64,
    pub baseline_kernel: String,
    pub candidate_kernel: String,
    pub baseline_us: Option<f64>,
    pub candidate_us: Option<f64>,
    /// What speaks for and against the two being the same work.
    pub checks: Vec<Check>,
    /// Metrics that moved, largest move first.
    pub moved: Vec<MetricMove>,
    /// The metric that the edit of the baseline should have moved.
    pub intended: Option<Intended>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Improved,
    Regressed,
    Neutral,
    #[default]
    NotComparable,
}

/// One check that both reports measured the same work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `device`, `name`, `dtype`, `work`, `grid`, `clock_control`, `clock_rate` or `duration`; a failed
    /// `grid`, `clock_rate` or `duration` is only a warning.
    pub check: String,
    pub passed: bool,
    pub detail: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricMove {
    pub metric: String,
    pub baseline: f64,
    pub candidate: f64,
    /// Relative change; absent when the baseline is 0.
    pub change_pct: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Intended {
    /// The rule whose edit the baseline called for.
    pub rule: String,
    pub metric: String,
    pub baseline: Option<f64>,
    pub candidate: Option<f64>,
    /// Whether it moved the right way by more than the least move.
    pub moved: bool,
}

/// The one edit to make now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextEdit {
    /// Why: `spill`, `under_filled`, `imbalance`, `tail`, `bank_conflicts`, `memory_pattern`, `divergence`,
    /// `tensor_absent`, `fp64`, `roof`, `issue`, `l1_traffic`, `l2_traffic`, `latency`, `occupancy`,
    /// `missing_metrics`, `ncu_rule` or `none`.
    pub gate: String,
    /// The rule in `references/ncu-rules.toml`; name it in `tried` if the edit had no effect.
    pub rule: String,
    pub kernel: String,
    /// Whether the kernel is at a roof and its code should be left alone.
    pub stop: bool,
    pub change: String,
    /// At least two metric values.
    pub evidence: Vec<Evidence>,
    /// Where in the source, if the report says.
    pub location: Option<Hotspot>,
    /// What the metrics should do.
    pub expected: String,
    /// How to tell whether it worked.
    pub validate: String,
    pub risk: String,
    /// The least upper bound that ncu or the distance to the roof gives for the gain in run time.
    pub gain_at_most_pct: Option<f64>,
    /// Gates before this one that could not be tested; `missing` of the kernel names the metrics.
    pub untested: Vec<String>,
    /// Rules that fired before this one but were tried without effect.
    pub skipped: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Metric name as in the report, or a formula over such names.
    pub metric: String,
    /// In base units; absent only where the point is that it is missing.
    pub value: f64,
    pub unit: String,
}
