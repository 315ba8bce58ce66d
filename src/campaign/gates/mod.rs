//! Which steps the evidence allows.
//!
//! A gate is a pure function of the log ([`State`]) and of what the server
//! itself just saw ([`World`]): the checkout, the loop's files, and which files
//! of the log are no longer what they were. `docs/gates.md` has the table.

mod baseline;
mod code;
mod evidence;
mod external;
mod fairness;
mod history;
mod kernel;
mod one_percent;
mod optimization;
mod plateau;
mod preflight;
mod running_checkout;
mod seal;
mod started;
mod strict_success;
#[cfg(test)]
mod tests;
mod world;

pub use baseline::baseline;
pub use code::{Change, ChangedFile, FileKind, code};
pub use evidence::{counts, evidence};
pub use external::external;
pub use fairness::fairness;
pub use history::history;
pub use kernel::{KernelPlan, kernel};
pub use one_percent::one_percent;
pub use optimization::optimization;
pub use plateau::plateau;
pub use preflight::preflight;
pub use running_checkout::running_checkout;
pub use seal::{seal, seal_for};
pub use started::{started, unclaimed_change};
pub use strict_success::strict_success;
pub use world::{ActiveLoop, World};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::Outcome;
use super::{CampaignError, State};

/// A rule that holds steps back.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// History notes before a baseline.
    History,
    /// A whole baseline before the loop.
    Baseline,
    /// What was sealed stays.
    Seal,
    /// Compared rows are comparable.
    Fairness,
    /// The checkout is ready for the loop.
    Preflight,
    /// Exactly one loop runs, set up as it should be.
    Started,
    /// Commits belong to an open attempt.
    UnclaimedChange,
    /// The target ran from the checkout at the present tree.
    RunningCheckout,
    /// There is a gap to work on.
    OnePercent,
    /// This round's reports and root cause, at the present tree.
    Evidence,
    /// The kernel matters, and what it must agree with is known.
    Kernel,
    /// After two weak rounds, a new idea first.
    Plateau,
    /// The change is to the target's own code.
    Code,
    /// Tested, correct, faster on the real model.
    Optimization,
    /// The sealed workload says so at the present tree.
    StrictSuccess,
    /// What is left lies outside, or everything was tried.
    External,
}

impl Gate {
    pub const ALL: [Self; 16] = [
        Self::History,
        Self::Baseline,
        Self::Seal,
        Self::Fairness,
        Self::Preflight,
        Self::Started,
        Self::UnclaimedChange,
        Self::RunningCheckout,
        Self::OnePercent,
        Self::Evidence,
        Self::Kernel,
        Self::Plateau,
        Self::Code,
        Self::Optimization,
        Self::StrictSuccess,
        Self::External,
    ];

    /// The name as it stands in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Baseline => "baseline",
            Self::Seal => "seal",
            Self::Fairness => "fairness",
            Self::Preflight => "preflight",
            Self::Started => "started",
            Self::UnclaimedChange => "unclaimed_change",
            Self::RunningCheckout => "running_checkout",
            Self::OnePercent => "one_percent",
            Self::Evidence => "evidence",
            Self::Kernel => "kernel",
            Self::Plateau => "plateau",
            Self::Code => "code",
            Self::Optimization => "optimization",
            Self::StrictSuccess => "strict_success",
            Self::External => "external",
        }
    }
}

/// How one gate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateState {
    pub gate: Gate,
    pub open: bool,
    /// What it waits for; empty when it is open. An item may begin with a
    /// stable word: `rlcr_not_started: ...`.
    pub missing: Vec<String>,
    /// The next call that serves it; empty when it is open.
    pub next: String,
}

impl GateState {
    /// Open when nothing is missing.
    pub fn of(gate: Gate, missing: Vec<String>, next: impl Into<String>) -> Self {
        Self {
            gate,
            open: missing.is_empty(),
            next: if missing.is_empty() {
                String::new()
            } else {
                next.into()
            },
            missing,
        }
    }
}

/// Every gate as it stands now. Gates of an attempt speak of the open one.
pub fn evaluate(state: &State, world: &World) -> Vec<GateState> {
    let attempt = state.open_attempt();
    let cites = match (&attempt, state.root_causes.last()) {
        (Some(attempt), _) => attempt.opened.body.cites.as_slice(),
        (None, Some(cause)) => cause.body.rows.as_slice(),
        (None, None) => &[],
    };
    let blockers: Vec<u64> = state.blockers.iter().map(|blocker| blocker.seq).collect();
    let no_attempt = |gate| GateState::of(gate, vec!["an open attempt".to_owned()], OPEN_ATTEMPT);
    vec![
        history(state, world),
        baseline(state, world),
        seal(state, world),
        fairness(state, world),
        preflight(state, world, None),
        started(state, world),
        unclaimed_change(state, world),
        running_checkout(state, world),
        one_percent(state, world, cites),
        evidence(state, world),
        plateau(state, world),
        match &world.change {
            Some(change) if attempt.is_some() => code(change),
            _ => no_attempt(Gate::Code),
        },
        match (attempt, world.checkout.present_tree()) {
            (Some(attempt), Some(tree)) => optimization(state, world, attempt, tree, None),
            _ => no_attempt(Gate::Optimization),
        },
        strict_success(state, world, None),
        external(state, world, Outcome::External, &blockers),
    ]
}

const OPEN_ATTEMPT: &str = "update_ledger {\"kind\": \"attempt\", \"state\": \"open\", ...}";

/// Fails with the first gate that is closed.
pub fn require(gates: impl IntoIterator<Item = GateState>) -> Result<(), CampaignError> {
    match gates.into_iter().find(|gate| !gate.open) {
        Some(closed) => Err(closed.into()),
        None => Ok(()),
    }
}
