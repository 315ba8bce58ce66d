//! Which steps the evidence allows.
//!
//! A gate is a pure function of the log ([`State`]) and of what the server
//! itself just saw ([`World`]): the checkout, the loop's files, and which files
//! of the log are no longer what they were. `docs/gates.md` has the table.

mod world;

pub use world::{ActiveLoop, World};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;

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

/// Every gate as it stands now.
pub fn evaluate(state: &State, world: &World) -> Vec<GateState> {
    let _ = (state, world);
    Vec::new()
}
