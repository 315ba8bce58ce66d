//! `strict_success`: the sealed workload says so at the present tree.

use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{BenchmarkLabel, Outcome};
use crate::campaign::state::snake;
use crate::gap::{Decision, Verdict};

/// `outcome`: what is to be declared; none asks for either.
pub fn strict_success(state: &State, world: &World, outcome: Option<Outcome>) -> GateState {
    let missing = match present(world) {
        Err(problem) => vec![problem],
        Ok(tree) => lacking(state, world, tree, outcome),
    };
    GateState::of(
        Gate::StrictSuccess,
        missing,
        "run_benchmark {\"label\": \"revalidation\"}, then check_gap {}",
    )
}

fn lacking(state: &State, world: &World, tree: &str, outcome: Option<Outcome>) -> Vec<String> {
    if state.seal.is_none() {
        return vec!["a seal: campaign {\"action\": \"start_loop\"} writes it".to_owned()];
    }
    if let Some(open) = state.open_attempt() {
        return vec![format!("attempt {} closed", open.id())];
    }
    let newest = state.gaps.iter().rev().find(|gap| {
        gap.body.label == BenchmarkLabel::Revalidation && gap.body.verified_tree() == Some(tree)
    });
    let Some(gap) = newest else {
        return vec!["a gap decision on a revalidation at the present tree".to_owned()];
    };
    let mut missing = world.differences(&gap.files);
    let record = &gap.body.record;
    if record.decision != Decision::StopSuccess {
        missing.push(format!(
            "decision stop_success; event {} says {}: {}",
            gap.seq,
            snake(&record.decision),
            record.decision_reason
        ));
    }
    let newer = state
        .benchmarks
        .iter()
        .any(|ended| ended.body.label == BenchmarkLabel::Revalidation && ended.seq > gap.seq);
    if newer {
        missing.push("a gap decision on the newest revalidation".to_owned());
    }
    let is_ahead = record
        .scenarios
        .iter()
        .any(|scenario| scenario.verdict == Verdict::Ahead);
    if outcome == Some(Outcome::Success) && !is_ahead {
        missing.push("a scenario that is ahead: otherwise the outcome is `tied`".to_owned());
    }
    missing
}
