//! `evidence`: this round knows the gap and its cause, at the present tree.

use super::one_percent::gap_now;
use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{
    GapChecked, PipelineRecorded, ProfileRecorded, RootCause, RootCauseKind, Supplied,
};
use crate::campaign::state::Recorded;
use crate::gap::Verdict;

/// A framework that is ahead by more than this must be profiled too.
const AHEAD_PCT: f64 = -1.0;

pub fn evidence(state: &State, world: &World) -> GateState {
    let (missing, next) = match present(world) {
        Err(problem) => (vec![problem], "commit or put away the changes".to_owned()),
        Ok(tree) => lacking(state, world, tree),
    };
    GateState::of(Gate::Evidence, missing, next)
}

fn lacking(state: &State, world: &World, tree: &str) -> (Vec<String>, String) {
    let mut missing = Vec::new();
    let mut next = String::new();
    let mut want = |what: String, call: &str| {
        if next.is_empty() {
            call.clone_into(&mut next);
        }
        missing.push(what);
    };
    match gap_now(state, world) {
        Ok(gap) if gap.seq > state.round_began() => {
            if let Some(problem) = unattributed(&gap.body) {
                want(problem, "check_gap {}");
            }
            for framework in to_profile(&gap.body) {
                if !has_report(state, world, &framework) {
                    want(
                        format!(
                            "three-table report of {framework}, in the version that was sealed"
                        ),
                        &capture(&framework),
                    );
                }
            }
        }
        Ok(_) => want("a gap decision of this round".to_owned(), "check_gap {}"),
        Err(problem) => want(problem, "check_gap {}"),
    }
    let target = state.target();
    if !has_target_report(state, world, tree) {
        want(
            format!("three-table report of {target} at the present tree"),
            &capture(target),
        );
    }
    if target_pipelines(state, world, tree).next().is_none() {
        want(
            format!("layer-pipeline report of {target} at the present tree"),
            "analyze_pipeline {\"trace\": \"/abs/profiles/...\"}",
        );
    }
    if let Some((problem, call)) = without_cause(state, tree) {
        want(problem, call);
    }
    (missing, next)
}

/// What is missing of a root cause that a patch can mend. Launch parameters
/// are none: they are searched again, which is no attempt.
fn without_cause(state: &State, tree: &str) -> Option<(String, &'static str)> {
    const RECORD: &str = "update_ledger {\"kind\": \"root_cause\", ...}";
    let causes = || {
        state
            .root_causes
            .iter()
            .filter(|cause| cause.seq > state.round_began() && cause.tree.as_deref() == Some(tree))
    };
    let is_configuration =
        |cause: &Recorded<RootCause>| cause.body.cause == RootCauseKind::Configuration;
    if causes().any(|cause| !is_configuration(cause)) {
        return None;
    }
    if causes().next().is_none() {
        return Some((
            "a root_cause of this round at the present tree".to_owned(),
            RECORD,
        ));
    }
    let call = if state.searched_flags() {
        RECORD
    } else {
        "run_benchmark {\"label\": \"revalidation\", \"target_flags\": {...}}"
    };
    Some((
        "a root_cause other than configuration, which is no attempt: search target_flags again in a revalidation".to_owned(),
        call,
    ))
}

fn unattributed(gap: &GapChecked) -> Option<String> {
    let open: Vec<&str> = gap
        .record
        .scenarios
        .iter()
        .filter(|scenario| scenario.verdict == Verdict::Behind)
        .filter(|scenario| scenario.attribution.as_ref().is_none_or(Vec::is_empty))
        .map(|scenario| scenario.scenario.as_str())
        .collect();
    (!open.is_empty()).then(|| {
        format!(
            "an attribution of the gap in {}: the rows' timelines are missing",
            open.join(", ")
        )
    })
}

/// The leaders, and every other framework that is ahead by more than 1%.
fn to_profile(gap: &GapChecked) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for scenario in &gap.record.scenarios {
        let is_behind = scenario.gap_pct.is_none_or(|gap| gap < 0.0);
        let leader = scenario.leader.iter().filter(|_| is_behind);
        let others = scenario
            .others
            .iter()
            .filter(|other| other.gap_pct.is_some_and(|gap| gap < AHEAD_PCT))
            .map(|other| &other.framework);
        for framework in leader.map(|side| &side.framework).chain(others) {
            if !wanted.contains(framework) {
                wanted.push(framework.clone());
            }
        }
    }
    wanted
}

fn usable<'a>(
    state: &'a State,
    world: &'a World,
    framework: &'a str,
) -> impl Iterator<Item = &'a Recorded<ProfileRecorded>> {
    state.profiles.iter().filter(move |profile| {
        profile.body.framework == framework
            && profile
                .body
                .stages
                .iter()
                .any(|stage| !stage.kernels.is_empty())
            && world.differences(&profile.files).is_empty()
    })
}

/// Evidence on a competitor holds for its sealed version, over all rounds.
fn has_report(state: &State, world: &World, framework: &str) -> bool {
    let sealed = state.seal.as_ref().and_then(|seal| {
        let known = seal.body.frameworks.iter();
        known.clone().find(|sealed| sealed.framework == framework)
    });
    let version = sealed.and_then(|sealed| sealed.version.as_deref());
    usable(state, world, framework).any(|profile| {
        let is_version = match (version, profile.body.framework_version.as_deref()) {
            (Some(sealed), Some(captured)) => sealed == captured,
            _ => true,
        };
        is_version
            && (profile.body.capture_job.is_some()
                || is_supplied(state, profile.body.supplied.as_ref()))
    })
}

pub(super) fn has_target_report(state: &State, world: &World, tree: &str) -> bool {
    target_reports(state, world, tree).next().is_some()
}

/// Reports of the target at this tree that count, newest first: captured by the
/// server, or supplied where it has seen that it cannot capture.
pub(super) fn target_reports<'a>(
    state: &'a State,
    world: &'a World,
    tree: &'a str,
) -> impl Iterator<Item = &'a Recorded<ProfileRecorded>> {
    let mut reports: Vec<_> = usable(state, world, state.target())
        .filter(|profile| {
            let captured = profile.body.source.verified_tree() == Some(tree)
                && profile.body.capture_job.is_some();
            let supplied = profile.tree.as_deref() == Some(tree)
                && is_supplied(state, profile.body.supplied.as_ref());
            captured || supplied
        })
        .collect();
    reports.sort_by_key(|profile| std::cmp::Reverse(profile.seq));
    reports.into_iter()
}

/// Layer reports of the target at this tree that count, by the same rule.
pub(super) fn target_pipelines<'a>(
    state: &'a State,
    world: &'a World,
    tree: &'a str,
) -> impl Iterator<Item = &'a Recorded<PipelineRecorded>> {
    state.pipelines.iter().filter(move |pipeline| {
        let captured = pipeline.body.source.verified_tree() == Some(tree);
        let supplied = pipeline.tree.as_deref() == Some(tree)
            && is_supplied(state, pipeline.body.supplied.as_ref());
        (captured || supplied) && world.differences(&pipeline.files).is_empty()
    })
}

/// Whether an event is a report of the target at this tree that counts.
pub fn counts(state: &State, world: &World, tree: &str, event: u64) -> bool {
    target_reports(state, world, tree).any(|report| report.seq == event)
        || target_pipelines(state, world, tree).any(|report| report.seq == event)
}

/// A trace from elsewhere counts where the server has seen that it cannot
/// capture one itself.
fn is_supplied(state: &State, supplied: Option<&Supplied>) -> bool {
    use crate::campaign::events::BlockerCause;
    use crate::job::JobState;
    supplied.is_some_and(|supplied| {
        let blocked = state.blockers.iter().any(|blocker| {
            blocker.seq == supplied.event && blocker.body.proves(BlockerCause::CaptureImpossible)
        });
        // A server that an argument names may fail on purpose.
        let failed = state.captures.iter().any(|capture| {
            capture.seq == supplied.event
                && capture.body.sealed_winner
                && capture.body.state == JobState::Failed
        });
        blocked || failed
    })
}

fn capture(framework: &str) -> String {
    format!(
        "profile {{\"capture\": {{\"framework\": \"{framework}\", \"server\": \"sealed_winner\", \"stage\": \"both\"}}}}"
    )
}
