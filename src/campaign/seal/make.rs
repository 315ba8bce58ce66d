//! Writing the seal.

use indexmap::IndexMap;

use super::SealFile;
use crate::bench::plan::Plan;
use crate::bench::{BenchPayload, Candidate, candidates_of};
use crate::campaign::events::{BenchmarkLabel, FrameworkOutcome, Sealed, SealedFramework};
use crate::campaign::gates::{self, World};
use crate::campaign::log::{Event, NewEvent};
use crate::campaign::{Campaign, CampaignError, State};
use crate::disk;
use crate::gap::{ScenarioGap, SealedLeader, Side};
use crate::job::{JobFolder, JobState};

/// Seals the campaign, unless it is sealed: the first `start_loop` that passes
/// `baseline` and `fairness` calls this. Returns the newest state.
pub fn seal(campaign: &Campaign) -> Result<State, CampaignError> {
    let log = campaign.log();
    log.append_after(|events: &[Event]| -> Result<_, CampaignError> {
        let state = State::fold(log.path(), events)?;
        if state.seal.is_some() {
            return Ok(None);
        }
        let world = campaign.look(&state);
        make(campaign, &state, &world).map(Some)
    })?;
    campaign.state()
}

fn make(campaign: &Campaign, state: &State, world: &World) -> Result<NewEvent, CampaignError> {
    gates::require([gates::baseline(state, world), gates::fairness(state, world)])?;
    let path = campaign.root.join("benchmark/seal.json");
    let broken = |problem: &str| CampaignError::SealBroken {
        path: path.clone(),
        problem: problem.to_owned(),
    };
    let jobs: Vec<_> = state
        .benchmarks
        .iter()
        .filter(|ended| ended.body.label == BenchmarkLabel::Baseline)
        .filter(|ended| ended.body.state == JobState::Done)
        .collect();
    let gap = state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.label == BenchmarkLabel::Baseline)
        .ok_or_else(|| broken("no gap was decided on the baseline"))?;
    let plans = plans(campaign, jobs.iter().map(|job| job.body.job_id.as_str()));
    let deciding = plans
        .values()
        .last()
        .ok_or_else(|| broken("the baseline job's spec cannot be read"))?;
    let record = &gap.body.record;
    let leaders = sides(&record.scenarios, |scenario| scenario.leader.as_ref());
    let targets = sides(&record.scenarios, |scenario| scenario.target.as_ref());
    let mut candidates = Vec::new();
    for side in targets.iter().chain(&leaders) {
        let found = candidate(&plans, side)
            .ok_or_else(|| broken("a winner's candidate is in no baseline plan"))?;
        if !candidates.contains(&found) {
            candidates.push(found);
        }
    }
    let file = SealFile {
        workload_sha256: crate::campaign::jobs::workload_sha256(deciding),
        metric: record.metric.clone(),
        plan: whole_plan(&plans, deciding),
        candidates,
        leaders: leaders.clone(),
        targets: targets.clone(),
    };
    let json = serde_json::to_vec_pretty(&file).map_err(|error| broken(&error.to_string()))?;
    disk::write_atomic(&path, &json)?;
    let body = Sealed {
        path: path.clone(),
        job_ids: jobs.iter().map(|job| job.body.job_id.clone()).collect(),
        workload_sha256: file.workload_sha256,
        metric: file.metric,
        frameworks: frameworks(
            jobs.iter().flat_map(|job| &job.body.frameworks),
            &file.candidates,
        ),
        leaders,
        targets,
    };
    Ok(NewEvent::of(&body)
        .at(world.checkout.commit(), world.checkout.tree())
        .on(path))
}

/// The plans of jobs, oldest first.
pub fn plans<'a>(
    campaign: &Campaign,
    ids: impl Iterator<Item = &'a str>,
) -> IndexMap<String, Plan> {
    ids.filter_map(|id| {
        let folder = JobFolder {
            id: id.to_owned(),
            dir: campaign.root.join("jobs").join(id),
        };
        let payload: BenchPayload = serde_json::from_value(folder.spec().ok()?.payload).ok()?;
        Some((id.to_owned(), payload.plan))
    })
    .collect()
}

/// The deciding plan with the frameworks that only earlier ones had.
fn whole_plan(plans: &IndexMap<String, Plan>, deciding: &Plan) -> Plan {
    let mut plan = deciding.clone();
    for earlier in plans.values().rev() {
        for (name, framework) in &earlier.frameworks {
            if !plan.frameworks.contains_key(name) {
                plan.frameworks.insert(name.clone(), framework.clone());
            }
        }
    }
    plan
}

fn sides(scenarios: &[ScenarioGap], pick: fn(&ScenarioGap) -> Option<&Side>) -> Vec<SealedLeader> {
    scenarios
        .iter()
        .filter_map(|scenario| {
            let side = pick(scenario)?;
            Some(SealedLeader {
                scenario: scenario.scenario.clone(),
                request_rate: scenario.request_rate,
                max_concurrency: scenario.max_concurrency,
                framework: side.framework.clone(),
                candidate_id: side.candidate_id.clone(),
                mean: side.mean?,
            })
        })
        .collect()
}

/// A sealed side's candidate, from the newest plan that has it.
fn candidate(plans: &IndexMap<String, Plan>, side: &SealedLeader) -> Option<Candidate> {
    plans.values().rev().find_map(|plan| {
        candidates_of(plan, &side.framework)
            .into_iter()
            .find(|candidate| candidate.id == side.candidate_id)
    })
}

fn frameworks<'a>(
    outcomes: impl Iterator<Item = &'a FrameworkOutcome>,
    candidates: &[Candidate],
) -> Vec<SealedFramework> {
    let mut sealed: IndexMap<&str, SealedFramework> = IndexMap::new();
    for outcome in outcomes.filter(|outcome| outcome.ok_rows > 0) {
        let own = candidates
            .iter()
            .filter(|candidate| candidate.framework == outcome.framework)
            .map(|candidate| candidate.id.clone());
        sealed.insert(
            &outcome.framework,
            SealedFramework {
                framework: outcome.framework.clone(),
                version: outcome.version.clone(),
                candidates: own.collect(),
                command: outcome.command.clone(),
            },
        );
    }
    sealed.into_values().collect()
}
