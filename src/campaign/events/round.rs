//! The loop: set up, rounds, rest, end.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::CommandSeen;

/// Who drives the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoopRuntime {
    /// The installed Humanize runtime.
    Humanize,
    /// The server's own prompts and state.
    Builtin,
}

/// Written by `start_loop`; rests on the plan and on the setup's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopStarted {
    pub runtime: LoopRuntime,
    pub plan_path: PathBuf,
    /// The loop's `state.md`.
    pub state_path: PathBuf,
    pub prompt_path: PathBuf,
    /// The setup command; none for the built-in runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<CommandSeen>,
    pub base_branch: String,
    pub start_branch: String,
    pub base_commit: String,
    /// Whether the runtime offered `--strict-success`, and it was given.
    pub strict_success: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopEnded {
    pub state_path: PathBuf,
    /// The runtime's own word: complete, stop, cancel, maxiter, finalised, ...
    pub terminal: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundStarted {
    pub prompt_path: PathBuf,
    /// Whether the whole plan is reviewed in this round.
    #[serde(default)]
    pub full_alignment: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reviewed {
    pub passed: bool,
    /// Items of the checklist that do not hold.
    pub open: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The next round begins with the next event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundEnded {
    pub summary: String,
    /// The patch that is planned next; none when nothing is left to try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_patch: Option<String>,
    /// Attempts of this round that were accepted.
    pub accepted: Vec<String>,
    /// Geomean improvement of the target over the scenarios in percent, from
    /// the round's own revalidation; none when nothing was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement_pct: Option<f64>,
    /// Geomean gap at the round's end, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_pct: Option<f64>,
}

/// How a campaign may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target is ahead in some scenario and no more than 1% behind in any.
    Success,
    /// The target is no more than 1% behind the leader in any scenario.
    Tied,
    /// What is left lies outside the target's code.
    External,
    /// Every kernel and cause that matters was tried or shown to be at its roof.
    AtLimit,
    /// The user gave up; always allowed.
    Abandoned,
}

/// The answer to "is the target state of the art in this environment".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SotaAnswer {
    Yes,
    Tied,
    No,
}

/// Rests on `final_report.md`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub outcome: Outcome,
    pub answer: SotaAnswer,
    pub reason: String,
    /// Numbers of the events that show it.
    pub evidence: Vec<u64>,
    pub report_path: PathBuf,
}
