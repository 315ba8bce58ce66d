//! `attempt`: opening one, and sending its later steps on.

use super::request::{AttemptRequest, AttemptStep, LedgerKind, invalid};
use super::{LedgerRecord, Moment, cites, close, record, write};
use crate::campaign::events::AttemptOpened;
use crate::campaign::gates::{self, Gate, GateState, KernelPlan};
use crate::campaign::log::NewEvent;
use crate::campaign::{Campaign, checks, seen};
use crate::fault::Fault;

pub(super) const KIND: LedgerKind = LedgerKind::Attempt;

pub fn step(campaign: &Campaign, request: AttemptRequest) -> Result<LedgerRecord, Fault> {
    match request.state {
        AttemptStep::Open => write(campaign, |moment| open(moment, request)),
        AttemptStep::Check => {
            let started = checks::start(campaign)?;
            record(campaign, Some(started.event), Some(started.job_id))
        }
        AttemptStep::Done => {
            close::ensure_checked(campaign)?;
            write(campaign, |moment| close::done(moment, request))
        }
        AttemptStep::Rejected => write(campaign, |moment| close::rejected(moment, request)),
    }
}

fn open(moment: &Moment<'_>, request: AttemptRequest) -> Result<NewEvent, Fault> {
    moment.require_round()?;
    if let Some(open) = moment.state.open_attempt() {
        return Err(invalid(
            KIND,
            format!("attempt {} is open: close it before the next", open.id()),
        ));
    }
    let target = request
        .target
        .ok_or_else(|| invalid(KIND, "target is missing: what will be changed"))?;
    if target.change.trim().is_empty() || target.files.is_empty() {
        return Err(invalid(KIND, "target needs change and files"));
    }
    if request.tests.iter().all(Vec::is_empty) {
        return Err(invalid(KIND, "tests: name at least one command"));
    }
    let expected = request.expected.unwrap_or_default();
    if expected.trim().is_empty() {
        return Err(invalid(
            KIND,
            "expected is missing: what should become faster",
        ));
    }
    if request.cites.is_empty() {
        return Err(invalid(
            KIND,
            "cites is empty: name the rows that call for it",
        ));
    }
    cites::rows(moment, KIND, "cites", &request.cites)?;
    for idea in &request.ideas {
        let known = moment
            .state
            .source_ideas
            .iter()
            .any(|event| event.seq == *idea);
        if !known {
            return Err(invalid(
                KIND,
                format!("ideas: event {idea} is no source_idea"),
            ));
        }
    }
    let (state, world) = (&moment.state, &moment.world);
    gates::require([
        clean(moment),
        gates::one_percent(state, world, &request.cites),
        gates::evidence(state, world),
        gates::kernel(state, world, kernel_plan(moment, &target)),
        gates::plateau(state, world),
    ])?;
    let body = AttemptOpened {
        id: format!("a{}", state.attempts_opened.len() + 1),
        target,
        cites: request.cites,
        ideas: request.ideas,
        expected,
        tests: request.tests,
        edit_rule: request.edit_rule,
    };
    Ok(moment.event(&body))
}

/// An attempt begins on a clean tree.
fn clean(moment: &Moment<'_>) -> GateState {
    let missing = match &moment.world.checkout {
        crate::campaign::checkout::Checkout::Read(head) if !head.dirty.is_empty() => {
            vec![format!("a clean tree: {}", head.dirty.join(", "))]
        }
        _ => Vec::new(),
    };
    GateState::of(
        Gate::UnclaimedChange,
        missing,
        "put the changes away with git stash",
    )
}

fn kernel_plan<'a>(
    moment: &Moment<'_>,
    target: &'a crate::campaign::events::AttemptTarget,
) -> KernelPlan<'a> {
    let top = moment.world.checkout.head().map(|head| head.path.as_path());
    let in_checkout = |path: &std::path::Path| top.map(|top| top.join(path));
    KernelPlan {
        target,
        touches_kernel_source: target
            .files
            .iter()
            .filter_map(|file| in_checkout(file))
            .any(|file| seen::is_kernel_source(&file)),
        wired_in_exists: target
            .kernel
            .as_ref()
            .and_then(|kernel| in_checkout(&kernel.wired_in))
            .is_some_and(|path| path.is_file()),
    }
}
