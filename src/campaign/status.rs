//! `campaign status`: where a campaign stands, from its log and one look at the
//! checkout. It says enough to go on after any pause.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gates::{self, GateState};
use super::state::{AttemptState, snake};
use super::{Campaign, CampaignError, FinishRecord, Phase, State, brief, jobs, outlook, render};

/// Where a campaign stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignStatus {
    pub campaign: String,
    pub root: PathBuf,
    /// Whether an `open` call found it open already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
    pub phase: Phase,
    /// The present round of the loop, from 0.
    pub round: u32,
    pub events: u64,
    /// When the last event was written, UTC.
    pub last_event: String,
    pub model: String,
    pub target: String,
    pub compared: Vec<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<FinishRecord>,
    /// Jobs that were started and have not ended, oldest first.
    pub running_jobs: Vec<String>,
    /// The newest benchmark job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_job: Option<String>,
    /// The newest gap decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GapBrief>,
    /// What the newest root cause says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<String>,
    /// The newest attempts, oldest first; all are in `humanize/attempt-ledger.md`.
    pub attempts: Vec<AttemptBrief>,
    /// How many there were in all.
    pub attempts_total: u32,
    /// The patch that the last round planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_patch: Option<String>,
    /// HEAD's tree as it is now, and the last one that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_tree: Option<String>,
    /// Every gate with what it waits for.
    pub gates: Vec<GateState>,
    pub manifest_path: PathBuf,
    pub checkpoint_path: PathBuf,
    pub log_path: PathBuf,
    pub rows_path: PathBuf,
    /// What is needed before the campaign can go on.
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    /// The next call that makes sense.
    pub next: String,
}

/// A gap decision in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapBrief {
    /// Number of its event, for citations.
    pub event: u64,
    pub decision: crate::gap::Decision,
    pub label: super::events::BenchmarkLabel,
    /// Tree of the target that was measured, where it is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geomean_gap_pct: Option<f64>,
}

/// An attempt in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptBrief {
    pub id: String,
    pub state: AttemptState,
    pub change: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub improvement_pct: Option<f64>,
}

/// Records the ends of jobs, reads where the campaign stands, and renders its
/// files where they are not as the log has them.
pub fn status(campaign: &Campaign) -> Result<CampaignStatus, CampaignError> {
    let state = jobs::settle(campaign)?;
    let rendered = render::all(campaign, &state)?;
    let mut status = of(campaign, &state);
    status.warnings.extend(rendered.warnings);
    Ok(status)
}

/// Where the campaign stands by this state of its log; nothing is written.
pub fn of(campaign: &Campaign, state: &State) -> CampaignStatus {
    let world = campaign.look(state);
    let gates = gates::evaluate(state, &world);
    let inputs = state.inputs();
    CampaignStatus {
        campaign: campaign.id.clone(),
        root: campaign.root.clone(),
        resumed: None,
        phase: state.phase(),
        round: state.round(),
        events: state.events,
        last_event: state.last_time.clone(),
        model: inputs
            .and_then(|inputs| inputs.model.clone())
            .unwrap_or_default(),
        target: state.target().to_owned(),
        compared: state.compared().to_vec(),
        finished: None,
        running_jobs: state
            .pending_jobs()
            .iter()
            .map(|job| job.id.to_owned())
            .collect(),
        last_job: state
            .benchmarks_started
            .last()
            .map(|job| job.body.job_id.clone()),
        gap: state.gaps.last().map(|gap| GapBrief {
            event: gap.seq,
            decision: gap.body.record.decision,
            label: gap.body.label,
            tree: gap.body.verified_tree().map(str::to_owned),
            geomean_gap_pct: gap.body.record.geomean_gap_pct,
        }),
        root_cause: state
            .root_causes
            .last()
            .map(|cause| format!("{} (event {})", brief::text(&cause.body.summary), cause.seq)),
        attempts: attempts(state),
        attempts_total: state.attempts_opened.len() as u32,
        next_patch: state
            .rounds
            .last()
            .and_then(|round| round.body.next_patch.as_deref().map(brief::text)),
        tree: world.checkout.tree(),
        accepted_tree: state.accepted_tree().map(str::to_owned),
        manifest_path: campaign.root.join("manifest.md"),
        checkpoint_path: campaign.root.join("humanize/model-loop-checkpoint.md"),
        log_path: campaign.log().path().to_path_buf(),
        rows_path: campaign.rows_path(),
        missing: brief::list(&outlook::missing(state, &gates)),
        warnings: warnings(state),
        next: outlook::next(campaign, state, &world, &gates),
        gates: brief::gates(&gates),
    }
}

fn attempts(state: &State) -> Vec<AttemptBrief> {
    const SHOWN: usize = 8;
    let before = state.attempts_opened.len().saturating_sub(SHOWN);
    state
        .attempts()
        .skip(before)
        .map(|attempt| {
            let closed = attempt.closed.map(|closed| &closed.body);
            AttemptBrief {
                id: attempt.id().to_owned(),
                state: attempt.state(),
                change: brief::text(&attempt.opened.body.target.change),
                outcome: closed.map(|closed| snake(&closed.outcome)),
                improvement_pct: closed
                    .and_then(|closed| closed.measured.as_ref())
                    .map(|measured| measured.improvement_pct),
            }
        })
        .collect()
}

fn warnings(state: &State) -> Vec<String> {
    state
        .adopted
        .iter()
        .map(|adopted| {
            format!(
                "event {}: the log up to event {} was taken over: {}",
                adopted.seq, adopted.body.seq, adopted.body.reason
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::events::AttemptOutcome;
    use crate::campaign::sample::*;

    #[test]
    fn a_long_campaign_is_told_in_one_go() {
        let (mut state, _) = ready();
        for n in 1..=40 {
            let id = format!("a{n}");
            let mut opened = attempt(&id);
            opened.target.change = "one more way to fuse the norm ".repeat(20);
            state.attempts_opened.push(event(20 + 2 * n, opened));
            let rejected = closed(&id, false, AttemptOutcome::Neutral);
            state.attempts_closed.push(event(21 + 2 * n, rejected));
        }
        state.root_causes[0].body.summary = "every layer adds and normalises ".repeat(60);
        let campaign = Campaign::at(std::path::Path::new("/c/20261124_qwen3-8b_sota_humanize"));
        let status = of(&campaign, &state);
        assert_eq!((status.attempts.len(), status.attempts_total), (8, 40));
        assert_eq!(status.attempts[7].id, "a40");
        let bytes = serde_json::to_string(&status).unwrap().len();
        assert!(bytes <= 7_500, "{bytes} bytes");
    }
}
