//! `plateau`: after two weak rounds, a new idea with its source comes first.

use super::{Gate, GateState, World};
use crate::campaign::State;

/// A round that improves the target by less is weak.
const WEAK_PCT: f64 = 1.0;

pub fn plateau(state: &State, _world: &World) -> GateState {
    let missing = match state.rounds.as_slice() {
        [.., before, last]
            if [before, last]
                .iter()
                .all(|round| is_weak(round.body.improvement_pct)) =>
        {
            let fresh = state
                .source_ideas
                .iter()
                .any(|idea| idea.seq > last.seq && !idea.body.provenance.is_empty());
            if fresh {
                Vec::new()
            } else {
                vec![format!(
                    "a source_idea with its provenance, newer than event {}: the last two rounds gained {} and {}",
                    last.seq,
                    gained(before.body.improvement_pct),
                    gained(last.body.improvement_pct)
                )]
            }
        }
        _ => Vec::new(),
    };
    GateState::of(
        Gate::Plateau,
        missing,
        "read the leader's source, then update_ledger {\"kind\": \"source_idea\", ...}",
    )
}

/// A round without an accepted attempt counts as 0.
fn is_weak(improvement_pct: Option<f64>) -> bool {
    improvement_pct.unwrap_or(0.0) < WEAK_PCT
}

fn gained(improvement_pct: Option<f64>) -> String {
    improvement_pct.map_or_else(|| "nothing".to_owned(), |pct| format!("{pct:+.2}%"))
}
