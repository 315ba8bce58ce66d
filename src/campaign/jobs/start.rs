//! Jobs that a campaign allows, and their starts.

use std::path::Path;

use serde_json::json;

use super::workload_sha256;
use crate::bench::Cost;
use crate::bench::plan::Plan;
use crate::campaign::events::{BenchmarkLabel, BenchmarkStarted, CaptureStarted};
use crate::campaign::gates::{self, Gate, GateState, World};
use crate::campaign::log::NewEvent;
use crate::campaign::seal::{self, Changes};
use crate::campaign::{Campaign, CampaignError, State};
use crate::job::JobFolder;

/// The campaign whose job lies in this folder.
pub fn of_job(dir: &Path) -> Option<Campaign> {
    let jobs = dir.parent()?;
    let root = jobs.parent()?;
    let campaign = Campaign::at(root);
    (jobs.file_name()? == "jobs" && campaign.log().path().is_file()).then_some(campaign)
}

/// Refuses a benchmark that the campaign does not allow now.
pub fn may_benchmark(
    campaign: &Campaign,
    label: BenchmarkLabel,
    plan: &Plan,
) -> Result<(), CampaignError> {
    let state = campaign.state()?;
    let world = campaign.look(&state);
    let workload = gates::seal_for(&state, label, &workload_sha256(plan));
    match label {
        BenchmarkLabel::Smoke => Ok(()),
        BenchmarkLabel::Baseline => gates::require([gates::history(&state, &world), workload]),
        BenchmarkLabel::Revalidation => gates::require([
            gates::started(&state, &world),
            gates::unclaimed_change(&state, &world),
            gates::seal(&state, &world),
            workload,
            clean(&world),
        ]),
    }
}

/// A revalidation of a tree that is not committed would be no evidence.
fn clean(world: &World) -> GateState {
    let missing = match world.checkout.head() {
        Some(head) if !head.dirty.is_empty() => {
            vec![format!("a clean working tree: {}", head.dirty.join(", "))]
        }
        _ => Vec::new(),
    };
    GateState::of(
        Gate::RunningCheckout,
        missing,
        "commit the change, then run_benchmark {\"label\": \"revalidation\"}",
    )
}

/// The plan of a revalidation, from the seal.
pub fn revalidation_plan(campaign: &Campaign, changes: &Changes) -> Result<Plan, CampaignError> {
    let state = campaign.state()?;
    let Some(sealed) = &state.seal else {
        gates::require([gates::seal_for(&state, BenchmarkLabel::Revalidation, "")])?;
        return Err(CampaignError::None);
    };
    let kept = seal::read(campaign, sealed)?;
    Ok(seal::revalidation(&kept, state.target(), changes))
}

/// Records that a benchmark was submitted, unless it goes on or is done.
pub fn record_benchmark(
    campaign: &Campaign,
    label: BenchmarkLabel,
    job: &JobFolder,
    plan: &Plan,
    cost: &Cost,
) -> Result<(), CampaignError> {
    let body = BenchmarkStarted {
        job_id: job.id.clone(),
        label,
        workload_sha256: workload_sha256(plan),
        frameworks: plan.enabled().map(|(name, _)| name.clone()).collect(),
        cost: json!(cost),
    };
    start(
        campaign,
        job,
        |state| {
            let mut known = state.benchmarks_started.iter();
            known.any(|started| started.body.job_id == job.id)
        },
        NewEvent::of(&body),
    )
}

/// Records that a capture was submitted, at HEAD as it is.
pub fn record_capture(
    campaign: &Campaign,
    job: &JobFolder,
    framework: &str,
    scenario: Option<&str>,
    stage: &str,
) -> Result<(), CampaignError> {
    let state = campaign.state()?;
    let head = campaign.look(&state).checkout;
    let body = CaptureStarted {
        job_id: job.id.clone(),
        framework: framework.to_owned(),
        scenario: scenario.map(str::to_owned),
        stage: Some(stage.to_owned()),
    };
    let tree = head.present_tree().map(str::to_owned);
    start(
        campaign,
        job,
        |state| {
            let mut known = state.captures_started.iter();
            known.any(|started| started.body.job_id == job.id)
        },
        NewEvent::of(&body).at(head.commit(), tree),
    )
}

/// Writes the start once: a job that is known counts again only when it was
/// ended before and runs anew.
fn start(
    campaign: &Campaign,
    job: &JobFolder,
    is_known: impl Fn(&State) -> bool,
    event: NewEvent,
) -> Result<(), CampaignError> {
    let log = campaign.log();
    let runs = job.status().is_ok_and(|status| !status.state.is_final());
    log.append_after(|events| -> Result<_, CampaignError> {
        let state = State::fold(log.path(), events)?;
        let is_pending = state
            .pending_jobs()
            .iter()
            .any(|pending| pending.id == job.id);
        let again = is_known(&state) && (is_pending || !runs);
        Ok((!again).then(|| event.in_round(Some(state.round()))))
    })?;
    Ok(())
}
