//! `gap_checked`: which rows a campaign's gap is decided from, and the decision.

use super::note;
use crate::campaign::events::{BenchmarkEnded, BenchmarkLabel, GapChecked};
use crate::campaign::jobs::verify_rows;
use crate::campaign::log::{Appended, NewEvent};
use crate::campaign::state::{Recorded, snake};
use crate::campaign::{Campaign, CampaignError, State};
use crate::fault::Fault;
use crate::gap::{self, GapRecord, GapRequest, Rows};
use crate::job::JobState;

/// A campaign's question to the gap, and what its answer will be about.
#[derive(Debug, Clone, PartialEq)]
pub struct GapQuestion {
    pub request: GapRequest,
    pub label: BenchmarkLabel,
    pub job_id: Option<String>,
    /// Whether the answer is the campaign's decision: it is about its own
    /// target, by the metric that decides.
    pub decides: bool,
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
    metric
        .unwrap_or(state.metric())
        .clone_into(&mut request.metric);
    if let Some(seal) = &state.seal
        && label == BenchmarkLabel::Revalidation
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
        decides: state.decides(&request.target, &request.metric),
        request,
        label,
        job_id,
    }
}

/// The rows of the campaign, those that the question is about as their job
/// wrote them.
pub fn gap_rows(campaign: &Campaign, state: &State, question: &GapQuestion) -> Result<Rows, Fault> {
    let path = campaign.rows_path();
    if let Some(ended) = ended(state, question) {
        verify_rows(&path, &ended.body)?;
    }
    Ok(gap::read_rows(&path)?)
}

fn ended<'a>(state: &'a State, question: &GapQuestion) -> Option<&'a Recorded<BenchmarkEnded>> {
    let job_id = question.job_id.as_ref()?;
    state
        .benchmarks
        .iter()
        .rev()
        .find(|ended| ended.body.job_id == *job_id)
}

/// Records a decision, without its pairs and what the attribution rests on. An
/// answer about another framework or by another metric decides nothing, and is
/// not recorded.
pub fn gap(
    campaign: &Campaign,
    state: &State,
    question: &GapQuestion,
    answer: &GapRecord,
) -> Result<Option<Appended>, CampaignError> {
    if !question.decides {
        return Ok(None);
    }
    let mut record = answer.clone();
    for scenario in &mut record.scenarios {
        scenario.pairs.clear();
        scenario.explanation = None;
    }
    let source = ended(state, question)
        .map(|ended| ended.body.source.clone())
        .unwrap_or_default();
    let body = GapChecked {
        job_id: question.job_id.clone(),
        label: question.label,
        tree_verified: source.verified_tree().is_some(),
        target_tree: source.tree,
        record,
    };
    let event = NewEvent::of(&body)
        .in_round(Some(state.round()))
        .at(source.commit, body.target_tree.clone())
        .on_growing(campaign.rows_path());
    note(campaign, event).map(Some)
}
