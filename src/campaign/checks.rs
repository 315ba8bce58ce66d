//! Tests and greedy outputs of the open attempt, as a job.

use super::events::{ChecksStarted, Sealed};
use super::gates;
use super::log::{Event, NewEvent};
use super::state::{JobKind, Recorded};
use super::{Campaign, State, seal};
use crate::checks::{self, ChecksPayload};
use crate::fault::{Fault, FaultCode};

/// A checks job that goes on, and the event that started it.
pub struct Started {
    pub event: Event,
    pub job_id: String,
}

/// Least share of matching output that the campaign allows.
pub fn min_matched_share(state: &State) -> f64 {
    state
        .inputs()
        .and_then(|inputs| inputs.correctness)
        .unwrap_or_default()
        .min_matched_share
}

/// Starts the checks of HEAD's tree, or returns the job that does them. On the
/// tree at which the attempt was opened, its outputs are recorded.
pub fn start(campaign: &Campaign) -> Result<Started, Fault> {
    let state = campaign.state()?;
    let world = campaign.look(&state);
    gates::require([gates::started(&state, &world)])?;
    let refuse = |problem: &str, hint: &str| {
        Err(Fault::new(
            FaultCode::InvalidArgument,
            format!("the checks cannot start: {problem}"),
            hint,
        ))
    };
    let Some(attempt) = state.open_attempt() else {
        return refuse("no attempt is open", "open one first");
    };
    let (Some(head), Some(tree)) = (world.checkout.head(), world.checkout.present_tree()) else {
        return refuse("the checkout is not clean", "commit the change first");
    };
    let base = attempt.opened.tree.as_deref().unwrap_or_default();
    let is_base = base == tree;
    let reference = state
        .outputs_of(base)
        .and_then(|ran| ran.body.outputs.clone());
    if !is_base && reference.is_none() {
        return refuse(
            "no greedy outputs of the base tree are recorded",
            "git checkout the base commit, update_ledger {\"kind\": \"attempt\", \"state\": \"check\"}, wait for the job, then return to your commits",
        );
    }
    let Some(seal) = &state.seal else {
        return refuse("the campaign is not sealed", "start the loop first");
    };
    let (plan, candidate) = target_server(campaign, &state, seal)?;
    let payload = ChecksPayload {
        campaign: campaign.root.clone(),
        attempt: (!is_base).then(|| attempt.id().to_owned()),
        checkout: head.path.clone(),
        commit: head.commit.clone(),
        tree: tree.to_owned(),
        tests: if is_base {
            Vec::new()
        } else {
            attempt.opened.body.tests.clone()
        },
        reference: reference.filter(|_| !is_base),
        min_matched_share: min_matched_share(&state),
        plan: Box::new(plan),
        candidate,
        guest_of: None,
    };
    // A job that ran to its end and did not pass may be asked for again.
    let before = state
        .checks
        .iter()
        .filter(|ran| ran.tree.as_deref() == Some(tree) && !ran.body.passed)
        .count();
    let nonce = (before > 0).then(|| before.to_string());
    let submission = checks::submit(&payload, nonce.as_deref())?;
    let job_id = submission.job.id.clone();
    let event = note_started(campaign, &payload, &job_id)?;
    Ok(Started { event, job_id })
}

/// Records the start once.
fn note_started(
    campaign: &Campaign,
    payload: &ChecksPayload,
    job_id: &str,
) -> Result<Event, Fault> {
    let log = campaign.log();
    let mut known = None;
    let appended = log.append_after(|events| -> Result<_, Fault> {
        let state = State::fold(log.path(), events)?;
        let newest = state
            .checks_started
            .iter()
            .rev()
            .find(|started| started.body.job_id == job_id)
            .map(|started| started.seq);
        let is_pending = state
            .pending_jobs()
            .iter()
            .any(|job| job.kind == JobKind::Checks && job.id == job_id);
        let ran = state.checks.iter().any(|ran| ran.body.job_id == job_id);
        if let Some(seq) = newest.filter(|_| is_pending || ran) {
            known = events.iter().find(|event| event.seq == seq).cloned();
            return Ok(None);
        }
        let body = ChecksStarted {
            job_id: job_id.to_owned(),
            attempt: payload.attempt.clone(),
        };
        Ok(Some(NewEvent::of(&body).in_round(Some(state.round())).at(
            Some(payload.commit.clone()),
            Some(payload.tree.clone()),
        )))
    })?;
    appended
        .map(|appended| appended.event)
        .or(known)
        .ok_or_else(|| {
            Fault::new(
                FaultCode::Internal,
                "the start of the checks was not recorded",
                "this is a defect of sota-loop; please report it",
            )
        })
}

/// The target's sealed server: its plan and candidate.
fn target_server(
    campaign: &Campaign,
    state: &State,
    sealed: &Recorded<Sealed>,
) -> Result<(crate::bench::plan::Plan, crate::bench::Candidate), Fault> {
    let kept = seal::read(campaign, sealed)?;
    let target = state.target();
    let candidate = kept
        .candidates
        .iter()
        .find(|candidate| candidate.framework == target);
    let candidate = candidate.cloned().ok_or_else(|| {
        Fault::new(
            FaultCode::InvalidInput,
            format!("the seal has no candidate of {target}"),
            "open a campaign that supersedes this one",
        )
    })?;
    Ok((kept.plan, candidate))
}
