//! `gap_checked`: which rows a campaign's gap is decided from, and the decision.

use super::note;
use crate::campaign::events::{BenchmarkLabel, GapChecked};
use crate::campaign::log::{Appended, NewEvent};
use crate::campaign::state::snake;
use crate::campaign::{Campaign, CampaignError, State};
use crate::gap::{GapRecord, GapRequest};
use crate::job::JobState;

/// A campaign's question to the gap, and what its answer will be about.
#[derive(Debug, Clone, PartialEq)]
pub struct GapQuestion {
    pub request: GapRequest,
    pub label: BenchmarkLabel,
    pub job_id: Option<String>,
}

/// The question about the newest rows that count: those of the newest baseline
/// or revalidation that is done, else the newest trial.
pub fn gap_question(state: &State, target: Option<&str>, metric: Option<&str>) -> GapQuestion {
    let newest = |smoke: bool| {
        state.benchmarks.iter().rev().find(|ended| {
            ended.body.state == JobState::Done
                && (ended.body.label == BenchmarkLabel::Smoke) == smoke
        })
    };
    let ended = newest(false).or_else(|| newest(true));
    let label = ended.map_or(BenchmarkLabel::Smoke, |ended| ended.body.label);
    let job_id = ended.map(|ended| ended.body.job_id.clone());
    let mut request = GapRequest::new(target.unwrap_or(state.target()));
    let sealed = state
        .seal
        .as_ref()
        .filter(|_| label == BenchmarkLabel::Revalidation);
    if let Some(metric) = metric.or(sealed.map(|seal| seal.body.metric.as_str())) {
        metric.clone_into(&mut request.metric);
    }
    if let Some(seal) = sealed
        && seal.body.metric == request.metric
    {
        request.sealed_leaders.clone_from(&seal.body.leaders);
    }
    request.label = ended.map(|_| snake(&label));
    request.job_id.clone_from(&job_id);
    request.rounds = state.progress();
    request.declared_differences = state
        .inputs()
        .and_then(|inputs| inputs.declared_differences.clone())
        .unwrap_or_default();
    GapQuestion {
        request,
        label,
        job_id,
    }
}

/// Records an answer, without its pairs and what the attribution rests on.
pub fn gap(
    campaign: &Campaign,
    state: &State,
    question: &GapQuestion,
    answer: &GapRecord,
) -> Result<Appended, CampaignError> {
    let mut record = answer.clone();
    for scenario in &mut record.scenarios {
        scenario.pairs.clear();
        scenario.explanation = None;
    }
    let source = state
        .benchmarks
        .iter()
        .rev()
        .find(|ended| Some(&ended.body.job_id) == question.job_id.as_ref())
        .map(|ended| ended.body.source.clone())
        .unwrap_or_default();
    // Of another framework than the campaign's target nothing is claimed.
    let is_target = answer.target == state.target();
    let body = GapChecked {
        job_id: question.job_id.clone(),
        label: question.label,
        tree_verified: is_target && source.verified_tree().is_some(),
        target_tree: source.tree.filter(|_| is_target),
        record,
    };
    let event = NewEvent::of(&body)
        .in_round(Some(state.round()))
        .at(source.commit, body.target_tree.clone())
        .on_growing(campaign.rows_path());
    note(campaign, event)
}
