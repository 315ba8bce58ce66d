//! `optimization`: tested, correct, and faster on the real model.

use super::evidence::has_target_report;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{AttemptOutcome, BenchmarkLabel};
use crate::campaign::improvement::{self, Judgement};
use crate::campaign::state::Attempt;
use crate::gap::Decision;

/// `claimed`: the outcome that is to be recorded; none asks for a faster one.
pub fn optimization(
    state: &State,
    world: &World,
    attempt: Attempt<'_>,
    tree: &str,
    claimed: Option<AttemptOutcome>,
) -> GateState {
    let mut missing = correctness(state, attempt, tree);
    let mut next = "update_ledger {\"kind\": \"attempt\", \"id\": \"...\", \"state\": \"check\"}";
    if missing.is_empty() {
        next = "run_benchmark {\"label\": \"revalidation\"}, then check_gap {}";
        missing.extend(speed(state, attempt, tree, claimed));
    }
    if missing.is_empty() && !is_closed(state, tree) && !has_target_report(state, world, tree) {
        next = "profile {\"capture\": {\"server\": \"sealed_winner\", \"stage\": \"both\"}}";
        missing.push("a new capture of the target at this tree: a gap is left".to_owned());
    }
    GateState::of(Gate::Optimization, missing, next)
}

/// What is missing before a tree may be accepted at all.
fn correctness(state: &State, attempt: Attempt<'_>, tree: &str) -> Vec<String> {
    let Some(checks) = state.checks_of(attempt.id(), tree) else {
        return vec![
            "the attempt's tests and the greedy comparison at this tree, run by the server"
                .to_owned(),
        ];
    };
    let mut missing = Vec::new();
    if let Some(failure) = &checks.body.failure {
        missing.push(format!("checks that run: {failure}"));
    }
    for test in checks.body.tests.iter().filter(|test| !test.passed) {
        missing.push(format!(
            "the test `{}` (its log: {})",
            test.command.argv.join(" "),
            test.command.log.display()
        ));
    }
    if checks.body.tests.is_empty() {
        missing.push("a test: the attempt named none".to_owned());
    }
    match &checks.body.greedy {
        Some(greedy) if greedy.passed => {}
        Some(greedy) => missing.push(format!(
            "greedy outputs that agree with the base tree: {:.1}% of tokens match, the limit is {:.1}%",
            100.0 * greedy.matched_share,
            100.0 * greedy.min_matched_share
        )),
        None if checks.body.failure.is_none() => {
            missing.push("greedy outputs of 32 prompts against the base tree".to_owned());
        }
        None => {}
    }
    missing
}

fn speed(
    state: &State,
    attempt: Attempt<'_>,
    tree: &str,
    claimed: Option<AttemptOutcome>,
) -> Option<String> {
    let base = attempt.opened.tree.as_deref().unwrap_or_default();
    let measured = match improvement::between(state, base, tree) {
        Ok(measured) => measured,
        Err(problem) => return Some(problem),
    };
    let said = format!(
        "the revalidation (event {}) measured {:+.2}% against the base tree",
        measured.event, measured.improvement_pct
    );
    let found = match (improvement::judge(&measured), is_closed(state, tree)) {
        (Judgement::Better, true) => AttemptOutcome::Win,
        (Judgement::Better, false) => AttemptOutcome::PartialWin,
        (Judgement::Noise, _) => AttemptOutcome::Neutral,
        (Judgement::Worse, _) => AttemptOutcome::Regression,
    };
    let is_faster = matches!(found, AttemptOutcome::Win | AttemptOutcome::PartialWin);
    let holds = match claimed {
        Some(claimed) => claimed == found && found != AttemptOutcome::Regression,
        None => is_faster,
    };
    if holds {
        return None;
    }
    let found = crate::campaign::state::snake(&found);
    Some(format!(
        "an outcome that was measured: {said}, which is `{found}`"
    ))
}

/// Whether the newest revalidation of the tree says that the gap is closed.
fn is_closed(state: &State, tree: &str) -> bool {
    let newest = state.gaps.iter().rev().find(|gap| {
        gap.body.label == BenchmarkLabel::Revalidation && gap.body.verified_tree() == Some(tree)
    });
    newest.is_some_and(|gap| gap.body.record.decision == Decision::StopSuccess)
}
