//! `external`: what is left lies outside, or everything that matters was tried.

use super::evidence::target_reports;
use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{Blocker, BlockerCause, Citation, Outcome, StageBrief};
use crate::gap::Verdict;
use crate::trace::Stage;

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
        "a blocker of cause hardware_support, missing_dependency, unsupported_backend or weights_not_loadable_fairly, shown by the output of a command or job that the server ran, named in evidence[]".to_owned(),
    );
    changed
}

fn is_outside(blocker: &Blocker) -> bool {
    let cause = [
        BlockerCause::HardwareSupport,
        BlockerCause::MissingDependency,
        BlockerCause::UnsupportedBackend,
        BlockerCause::WeightsNotLoadableFairly,
    ];
    cause.into_iter().any(|cause| blocker.proves(cause))
}

/// Kernels and causes that matter and that nothing in the log answers for.
fn unanswered(state: &State, world: &World) -> Vec<String> {
    match present(world) {
        Ok(tree) => {
            let mut open = unanswered_causes(state, tree);
            open.extend(unanswered_kernels(state, world, tree));
            open
        }
        Err(problem) => vec![problem],
    }
}

fn unanswered_causes(state: &State, tree: &str) -> Vec<String> {
    let newest = state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.verified_tree() == Some(tree));
    let Some(gap) = newest else {
        return vec!["a gap decision at the present tree".to_owned()];
    };
    let behind = gap
        .body
        .record
        .scenarios
        .iter()
        .filter(|scenario| scenario.verdict == Verdict::Behind);
    behind
        .flat_map(|scenario| {
            let causes = scenario.attribution.iter().flatten();
            causes
                .filter(|cause| cause.share_pct >= LEAST_SHARE_PCT)
                .filter(|cause| !is_answered(state, &cause.cause))
                .map(|cause| {
                    format!(
                        "cause `{}` of {} ({:.1}% of the gap)",
                        cause.cause, scenario.scenario, cause.share_pct
                    )
                })
        })
        .collect()
}

/// Of the newest table of each slow stage; all stages are slow where no cause
/// names one.
fn unanswered_kernels(state: &State, world: &World, tree: &str) -> Vec<String> {
    let mut tables: Vec<&StageBrief> = Vec::new();
    for report in target_reports(state, world, tree) {
        for stage in report.body.stages.iter().filter(|s| !s.kernels.is_empty()) {
            if tables.iter().all(|known| known.stage != stage.stage) {
                tables.push(stage);
            }
        }
    }
    if tables.is_empty() {
        return vec!["a three-table report of the target at the present tree".to_owned()];
    }
    let mut slow: Vec<Stage> = Vec::new();
    for cause in &state.root_causes {
        if !slow.contains(&cause.body.stage) {
            slow.push(cause.body.stage);
        }
    }
    let has_table = |stage: &Stage| tables.iter().any(|table| table.stage == *stage);
    let unseen = slow.iter().filter(|stage| !has_table(stage)).map(|stage| {
        let stage = stage.as_str();
        format!("a three-table report of the target's {stage} at the present tree")
    });
    let kernels = tables
        .iter()
        .filter(|table| slow.is_empty() || slow.contains(&table.stage))
        .flat_map(|table| table.kernels.iter().map(|kernel| (table.stage, kernel)))
        .filter(|(_, kernel)| kernel.share_pct >= LEAST_SHARE_PCT)
        .filter(|(_, kernel)| !is_answered(state, &kernel.name))
        .map(|(stage, kernel)| {
            format!(
                "kernel `{}` of {} ({:.1}%)",
                kernel.name,
                stage.as_str(),
                kernel.share_pct
            )
        });
    unseen.chain(kernels).collect()
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
