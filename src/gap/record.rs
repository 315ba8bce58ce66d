//! What a gap check is asked and what it answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attribution::{Explanation, LookAt};

/// What to compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GapRequest {
    /// Framework whose gap is wanted, as rows name it in `framework`.
    pub target: String,
    /// A metric of the rows: `request_throughput`, another throughput, or a latency such as `p50_ttft_ms`.
    #[serde(default = "default_metric")]
    pub metric: String,
    /// Only rows with this `label`. Without it, all rows but `smoke` ones that stand beside others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only rows of this job. Without it, the job of the last row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Fairness fields that may differ because the campaign declared so, as `fairness[].field` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared_differences: Vec<String>,
    /// The leaders of the seal, in a revalidation: compared with, and checked for drift.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed_leaders: Vec<SealedLeader>,
    /// Improvement of each finished round, oldest first, for the plateau state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundProgress>,
}

/// The metric that decides where none is asked for.
pub const DECIDING_METRIC: &str = "request_throughput";

fn default_metric() -> String {
    DECIDING_METRIC.to_owned()
}

impl GapRequest {
    /// The default question about one framework.
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            metric: default_metric(),
            label: None,
            job_id: None,
            declared_differences: Vec::new(),
            sealed_leaders: Vec::new(),
            rounds: Vec::new(),
        }
    }
}

/// The leader of one scenario and load as the seal holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedLeader {
    /// Scenario name.
    pub scenario: String,
    /// Requests per second; absent for all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
    /// Cap of requests in flight; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<f64>,
    /// Framework of the leader.
    pub framework: String,
    /// Its candidate.
    pub candidate_id: String,
    /// Mean of the metric over the sealed rows, in the metric's unit.
    pub mean: f64,
}

/// How far one finished round moved the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundProgress {
    /// Round number, from 0.
    pub round: u32,
    /// Geomean improvement of the target over scenarios, in percent; absent when no attempt was accepted, which counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement_pct: Option<f64>,
}

/// The answer of a gap check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapRecord {
    /// Framework whose gap this is.
    pub target: String,
    /// Metric that was compared.
    pub metric: String,
    /// `higher` or `lower`: which way the metric is better. Gaps are positive where the target is better.
    pub better: Better,
    /// One entry a scenario and load.
    pub scenarios: Vec<ScenarioGap>,
    /// Geometric mean of the gaps, in percent; absent where no gap could be computed. Never replaces the scenarios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geomean_gap_pct: Option<f64>,
    /// What the numbers call for.
    pub decision: Decision,
    /// Why.
    pub decision_reason: String,
    /// Whether the last rounds stopped improving.
    pub plateau: Plateau,
    /// The next call that makes sense.
    pub next: String,
    /// What a reader must know before trusting the numbers.
    pub warnings: Vec<String>,
    /// Whether `scenarios` leaves some out: those in which the target does best.
    #[serde(default)]
    pub truncated: bool,
    /// Scenarios and loads that were compared.
    #[serde(default)]
    pub total: usize,
}

/// Which direction of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
}

/// The gap of one scenario at one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioGap {
    /// Scenario name.
    pub scenario: String,
    /// Requests per second; absent for all at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
    /// Cap of requests in flight; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that gave it.
    pub reason: String,
    /// Number of pairs that the gap rests on.
    pub n: u32,
    /// Gap of target to leader in percent, positive where the target is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_pct: Option<f64>,
    /// 95% Student-t interval of the gap in percent; absent under two pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci_pct: Option<[f64; 2]>,
    /// 95% percentile-bootstrap interval in percent, for comparison; it decides nothing. Absent under two pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_ci_pct: Option<[f64; 2]>,
    /// Whether the gap is shown to be no worse than −1%: the lower bound, one clear pair, or the SLA alone.
    pub not_behind: bool,
    /// Total repeats that would decide at the observed spread, at most 10; absent when decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats_needed: Option<u32>,
    /// The target's candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Side>,
    /// The best candidate of the other frameworks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Side>,
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// Every other framework's best candidate against the target, best first.
    pub others: Vec<Other>,
    /// Differences between target and leader rows that make the comparison unfair.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fairness: Vec<Unfair>,
    /// Change of the sealed leader from its sealed mean in percent, positive where it became better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_pct: Option<f64>,
    /// Where the gap's time went, once the runs' timelines are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Vec<Attribution>>,
    /// What governs the largest cause: `kernels` (then profile), `scheduler`,
    /// `memory`, `configuration` (then search the target's flags again), `host` or `client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub where_to_look: Option<String>,
    /// Flags and sources of the target that govern it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<LookAt>,
    /// The repeat whose pair of runs is attributed: the one with the middle gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributed_repeat: Option<u32>,
    /// The whole attribution: the model's error, what-ifs, what the timelines show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

impl ScenarioGap {
    /// The verdict in words. An undecided one whose interval shows that the
    /// target is no worse than −1% says so: it does not keep a campaign from
    /// ending as tied.
    pub fn standing(&self) -> &'static str {
        match self.verdict {
            Verdict::Ahead => "ahead",
            Verdict::Behind => "behind",
            Verdict::Tied => "tied",
            Verdict::Undecided if self.not_behind => "undecided, not behind",
            Verdict::Undecided => "undecided",
            Verdict::Blocked => "blocked",
        }
    }
}

/// What the comparison of one scenario says about the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Better by more than 1%.
    Ahead,
    /// Worse by more than 1%.
    Behind,
    /// Within 1%.
    Tied,
    /// The interval crosses a bound.
    Undecided,
    /// There is nothing to compare, or nobody passes the SLA.
    Blocked,
}

/// What the numbers call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// No scenario is behind by more than 1%, and the intervals show it.
    StopSuccess,
    /// More repeats are needed.
    Rerun,
    /// The runs differ in something that they must share.
    FixFairness,
    /// The target is behind: find out why and change it.
    Patch,
    /// Something else must happen before a gap can be computed.
    Blocked,
}

/// One candidate in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Framework.
    pub framework: String,
    /// Candidate.
    pub candidate_id: String,
    /// Arithmetic mean of the metric over its ok repeats, in the metric's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Ok repeats with a measured value.
    pub repeats: u32,
    /// Different server launches behind them, where the rows record it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launches: Option<u32>,
    /// Whether every tried repeat finished and passed the SLA.
    pub sla_passed: bool,
    /// Repeats that failed or missed the SLA, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<String>,
}

/// One session of the target and one of the leader with the same index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Session index.
    pub repeat: u32,
    /// The target's value, in the metric's unit.
    pub target: f64,
    /// The leader's value, in the metric's unit.
    pub leader: f64,
    /// Gap of this pair in percent.
    pub gap_pct: f64,
}

/// Another framework's best candidate against the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Other {
    /// Framework.
    pub framework: String,
    /// Candidate.
    pub candidate_id: String,
    /// Mean of the metric, in the metric's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Whether every tried repeat finished and passed the SLA.
    pub sla_passed: bool,
    /// Gap of the target to it over shared repeats in percent, positive where the target is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_pct: Option<f64>,
}

/// A field that both sides must share and do not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unfair {
    /// Name of the field.
    pub field: String,
    /// The target's value.
    pub target: String,
    /// The leader's value.
    pub leader: String,
}

/// One cause of the gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attribution {
    /// Name of the cause.
    pub cause: String,
    /// Seconds of the run that it explains.
    pub seconds: f64,
    /// Share of the gap in percent.
    pub share_pct: f64,
    /// What shows it.
    pub evidence: String,
}

/// Whether the last rounds stopped improving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plateau {
    /// Rounds seen.
    pub rounds: u32,
    /// Rounds in a row, up to the last, that improved by less than 1%.
    pub weak_rounds: u32,
    /// Two or more: new source ideas are needed before another attempt.
    pub reached: bool,
}
