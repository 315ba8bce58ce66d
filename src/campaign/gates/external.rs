//! `external`: what is left lies outside, or everything that matters was tried.

use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{Blocker, BlockerCause, Citation, Outcome, Seen};
use crate::gap::Verdict;

/// A kernel or cause below this share need not be answered for.
const LEAST_SHARE_PCT: f64 = 1.0;

pub fn external(state: &State, world: &World, outcome: Outcome, cited: &[u64]) -> GateState {
    let (missing, next) = match outcome {
        Outcome::AtLimit => (
            unanswered(state, world),
            "update_ledger {\"kind\": \"rejected_idea\", ...} with evidence, or an attempt, for each",
        ),
        _ => (
            outside(state, world, cited),
            "update_ledger {\"kind\": \"blocker\", \"cause\": \"...\", \"command\": [\"...\"]}, then name its event in evidence[]",
        ),
    };
    GateState::of(Gate::External, missing, next)
}

fn outside(state: &State, world: &World, cited: &[u64]) -> Vec<String> {
    let proven = state
        .blockers
        .iter()
        .filter(|blocker| cited.contains(&blocker.seq) && is_outside(&blocker.body));
    let mut changed = Vec::new();
    for blocker in proven {
        let differences = world.differences(&blocker.files);
        if differences.is_empty() {
            return Vec::new();
        }
        changed.extend(differences);
    }
    changed.push(
        "a blocker of cause hardware_support, missing_dependency, unsupported_backend or weights_not_loadable_fairly, with the log of a command that the server ran, named in evidence[]".to_owned(),
    );
    changed
}

fn is_outside(blocker: &Blocker) -> bool {
    let cause = matches!(
        blocker.cause,
        BlockerCause::HardwareSupport
            | BlockerCause::MissingDependency
            | BlockerCause::UnsupportedBackend
            | BlockerCause::WeightsNotLoadableFairly
    );
    cause && matches!(blocker.seen, Seen::Command(_) | Seen::Job { .. })
}

/// Kernels and causes that matter and that nothing in the log answers for.
fn unanswered(state: &State, world: &World) -> Vec<String> {
    let tree = match present(world) {
        Ok(tree) => tree,
        Err(problem) => return vec![problem],
    };
    let mut open = Vec::new();
    let gap = state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.verified_tree() == Some(tree));
    match gap {
        None => open.push("a gap decision at the present tree".to_owned()),
        Some(gap) => {
            let behind = gap
                .body
                .record
                .scenarios
                .iter()
                .filter(|scenario| scenario.verdict == Verdict::Behind);
            for scenario in behind {
                for cause in scenario.attribution.iter().flatten() {
                    if cause.share_pct >= LEAST_SHARE_PCT && !is_answered(state, &cause.cause) {
                        open.push(format!(
                            "cause `{}` of {} ({:.1}% of the gap)",
                            cause.cause, scenario.scenario, cause.share_pct
                        ));
                    }
                }
            }
        }
    }
    let profile = state.profiles.iter().rev().find(|profile| {
        profile.body.framework == state.target()
            && (profile.body.source.verified_tree() == Some(tree)
                || profile.tree.as_deref() == Some(tree))
    });
    match profile {
        None => open.push("a three-table report of the target at the present tree".to_owned()),
        Some(profile) => {
            let slow = |stage| {
                let mut causes = state.root_causes.iter();
                causes.any(|cause| cause.body.stage == stage)
            };
            let any_slow = profile.body.stages.iter().any(|stage| slow(stage.stage));
            for stage in &profile.body.stages {
                if any_slow && !slow(stage.stage) {
                    continue;
                }
                for kernel in &stage.kernels {
                    if kernel.share_pct >= LEAST_SHARE_PCT && !is_answered(state, &kernel.name) {
                        open.push(format!(
                            "kernel `{}` of {} ({:.1}%)",
                            kernel.name,
                            stage.stage.as_str(),
                            kernel.share_pct
                        ));
                    }
                }
            }
        }
    }
    open
}

/// A closed attempt that cites it, an idea that was rejected with it as
/// evidence, or a digest that says that it is at its roof.
fn is_answered(state: &State, name: &str) -> bool {
    let names_it = |citation: &Citation| state.cited(citation).is_ok_and(|cited| cited.row == name);
    let attempted = state
        .attempts()
        .any(|attempt| attempt.closed.is_some() && attempt.opened.body.cites.iter().any(names_it));
    let rejected = state
        .rejected_ideas
        .iter()
        .any(|idea| idea.body.evidence.iter().any(names_it));
    let at_its_roof = state.digests.iter().any(|digest| {
        let edit = digest.body.next_edit.as_ref();
        edit.is_some_and(|edit| edit.stop && same_kernel(&edit.kernel, name))
    });
    attempted || rejected || at_its_roof
}

/// Whether a counter report and a trace speak of one kernel: either may write
/// its name without the template arguments.
fn same_kernel(a: &str, b: &str) -> bool {
    const TELLING: usize = 8;
    a == b || (a.len().min(b.len()) >= TELLING && (a.contains(b) || b.contains(a)))
}
