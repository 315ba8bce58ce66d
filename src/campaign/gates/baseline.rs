//! `baseline`: every requested framework was searched, or a seen reason says why not.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{BenchmarkEnded, BenchmarkLabel, FrameworkOutcome};
use crate::job::JobState;

const NEXT: &str = "run_benchmark {\"plan\": \"/abs/plan.yaml\", \"label\": \"baseline\"}";

pub fn baseline(state: &State, world: &World) -> GateState {
    let ended: Vec<_> = state
        .benchmarks
        .iter()
        .filter(|ended| ended.body.label == BenchmarkLabel::Baseline)
        .filter(|ended| ended.body.state == JobState::Done)
        .collect();
    let mut missing = Vec::new();
    if ended.is_empty() {
        missing.push("a baseline benchmark that is done (smoke rows do not count)".to_owned());
    }
    for ended in &ended {
        missing.extend(world.differences(&ended.files));
    }
    let target = state.target();
    let wanted = std::iter::once(target).chain(state.compared().iter().map(String::as_str));
    for framework in wanted {
        let outcomes: Vec<&FrameworkOutcome> = ended
            .iter()
            .flat_map(|ended| outcome(&ended.body, framework))
            .collect();
        let is_blocked = framework != target && seen_reason(state, framework);
        if !is_blocked && let Some(problem) = problem(framework, &outcomes) {
            missing.push(problem);
        }
    }
    missing.sort();
    missing.dedup();
    GateState::of(Gate::Baseline, missing, NEXT)
}

fn outcome<'a>(ended: &'a BenchmarkEnded, framework: &str) -> Option<&'a FrameworkOutcome> {
    ended
        .frameworks
        .iter()
        .find(|outcome| outcome.framework == framework)
}

/// A reason that the server or the user gave for a framework without a good row.
fn seen_reason(state: &State, framework: &str) -> bool {
    let excluded = state
        .inputs()
        .and_then(|inputs| inputs.excluded.as_ref())
        .is_some_and(|excluded| excluded.contains_key(framework));
    excluded
        || state
            .blockers
            .iter()
            .any(|blocker| blocker.body.excuses(framework))
}

/// What the best of a framework's searches lacks; none when one is whole.
fn problem(framework: &str, outcomes: &[&FrameworkOutcome]) -> Option<String> {
    let mut problems = outcomes.iter().map(|outcome| flaw(framework, outcome));
    match problems.next() {
        None => Some(format!(
            "{framework}: no search; add it to the plan, or record a blocker that the server can see"
        )),
        Some(None) => None,
        Some(Some(first)) => problems.all(|flaw| flaw.is_some()).then_some(first),
    }
}

fn flaw(framework: &str, outcome: &FrameworkOutcome) -> Option<String> {
    let tried = outcome.candidates.len() as u32;
    if outcome.candidates.first().map(String::as_str) != Some("base") {
        return Some(format!(
            "{framework}: its baseline candidate did not run first"
        ));
    }
    if tried > outcome.bound {
        return Some(format!(
            "{framework}: {tried} candidates were tried, over the bound of {}",
            outcome.bound
        ));
    }
    if outcome.ok_rows == 0 {
        return Some(format!(
            "{framework}: no row is ok ({})",
            outcome
                .failures
                .first()
                .map_or("no reason recorded", String::as_str)
        ));
    }
    if !outcome.custom_command && (outcome.version.is_none() || outcome.help.is_empty()) {
        return Some(format!("{framework}: its version and help are not saved"));
    }
    if outcome.engine == "tensorrt-llm" && outcome.backend.as_deref() != Some("pytorch") {
        return Some(format!(
            "{framework}: TensorRT-LLM counts only with `backend: pytorch`, not {}",
            outcome.backend.as_deref().unwrap_or("an unnamed one")
        ));
    }
    None
}
