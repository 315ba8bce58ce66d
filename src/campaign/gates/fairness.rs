//! `fairness`: the compared rows are comparable.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::BenchmarkLabel;
use crate::job::JobState;

const NEXT: &str = "make the fields equal in the plan and run_benchmark again, or declare them when a campaign is opened; then check_gap {}";

pub fn fairness(state: &State, _world: &World) -> GateState {
    let counts = |label: BenchmarkLabel| label != BenchmarkLabel::Smoke;
    let newest = state
        .benchmarks
        .iter()
        .rev()
        .find(|ended| counts(ended.body.label) && ended.body.state == JobState::Done);
    let gap = state.gaps.iter().rev().find(|gap| counts(gap.body.label));
    let missing = match (newest, gap) {
        (Some(ended), Some(gap)) if gap.seq > ended.seq => gap
            .body
            .record
            .scenarios
            .iter()
            .flat_map(|scenario| {
                scenario.fairness.iter().map(|unfair| {
                    format!(
                        "{}: {} is {} for the target and {} for the leader",
                        scenario.scenario, unfair.field, unfair.target, unfair.leader
                    )
                })
            })
            .collect(),
        _ => vec!["a gap decision on the newest rows, which compares their settings".to_owned()],
    };
    let next = if gap.is_some_and(|gap| newest.is_some_and(|ended| gap.seq > ended.seq)) {
        NEXT
    } else {
        "check_gap {}"
    };
    GateState::of(Gate::Fairness, missing, next)
}
