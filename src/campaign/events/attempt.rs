//! One change to the target: opened, checked, closed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Citation, CommandSeen};

/// What an attempt will change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptTarget {
    /// In a sentence: the change.
    pub change: String,
    /// Files that it will touch, relative to the checkout.
    pub files: Vec<PathBuf>,
    /// The kernel, where it changes or replaces one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelTarget>,
}

/// The kernel that an attempt changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelTarget {
    /// Its name, or the name of its family, as the tables have it.
    pub name: String,
    /// What it must agree with: a path or a function in the checkout.
    pub correctness_ref: String,
    /// Shapes that occur, for example `[256, 4096]`.
    pub shapes: Vec<String>,
    pub dtypes: Vec<String>,
    pub layouts: Vec<String>,
    /// Where the new kernel is called from, relative to the checkout.
    pub wired_in: PathBuf,
    /// Whether counter evidence is asked for: then a digest with one next
    /// edit, or a seen blocker, must be there.
    #[serde(default)]
    pub counter_evidence: bool,
}

/// On a clean tree, before the first commit. The event's `tree` is its base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptOpened {
    /// `a1`, `a2`, ...
    pub id: String,
    pub target: AttemptTarget,
    /// Rows that call for it.
    pub cites: Vec<Citation>,
    /// Source ideas that it tries, by event number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ideas: Vec<u64>,
    /// What should become faster, and by how much.
    pub expected: String,
    /// Commands that test it, run in the checkout with the engine's environment.
    pub tests: Vec<Vec<String>>,
    /// The rule of the counter digest whose edit it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_rule: Option<String>,
}

/// The event's `tree` is the tree that is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChecksStarted {
    pub job_id: String,
    /// None: the outputs of a base tree are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// The event's `tree` is the tree that was checked. Rests on the logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChecksRan {
    pub job_id: String,
    /// None: the outputs of a base tree were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// Whether every test and the greedy comparison passed.
    pub passed: bool,
    pub tests: Vec<TestRun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greedy: Option<GreedyAgreement>,
    /// Greedy outputs of this tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<PathBuf>,
    /// Why the checks could not be carried through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    pub command: CommandSeen,
    pub passed: bool,
    pub seconds: u64,
}

/// Greedy outputs at the attempt's tree against those of its base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GreedyAgreement {
    pub base_tree: String,
    pub prompts: u32,
    /// Prompts whose outputs are equal to the last token.
    pub identical: u32,
    /// Share of tokens before the first difference, over all prompts.
    pub matched_share: f64,
    /// The least that the campaign allows.
    pub min_matched_share: f64,
    pub passed: bool,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Faster than base beyond noise, and the gap is closed.
    Win,
    /// Faster than base beyond noise; a gap is left.
    PartialWin,
    /// No difference beyond noise.
    Neutral,
    /// Slower.
    Regression,
    /// Wrong outputs or failing tests.
    Incorrect,
}

/// The event's `tree` is HEAD's at the close. Rests on the patch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptClosed {
    pub id: String,
    /// Accepted: the tree stays. Rejected: HEAD's tree equals the last accepted one.
    pub accepted: bool,
    pub outcome: AttemptOutcome,
    pub summary: String,
    pub base_tree: String,
    /// The tree that was tried; the event's own when accepted.
    pub tried_tree: Option<String>,
    /// Files of the diff, as the server took it.
    pub files: Vec<PathBuf>,
    pub commits: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PathBuf>,
    /// What the revalidation at the tried tree measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Whether it is an optimization row: tested, correct, and faster on the
    /// real model.
    pub optimization: bool,
}

/// The target at an attempt's tree against the target at its base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The `gap_checked` event of the revalidation.
    pub event: u64,
    /// Geomean over the scenarios, in percent.
    pub improvement_pct: f64,
    /// Its 95% interval, where both sides have repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_pct: Option<[f64; 2]>,
}
