//! `campaign status`: where a campaign stands, from its log alone.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gates::{self, GateState};
use super::{Campaign, CampaignError, Phase};

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
    pub events: usize,
    /// The newest benchmark job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_job: Option<String>,
    /// The newest gap decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<String>,
    pub gates: Vec<GateState>,
    pub manifest_path: PathBuf,
    pub log_path: PathBuf,
    pub rows_path: PathBuf,
    /// What is needed before the campaign can go on.
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    /// The next call that makes sense.
    pub next: String,
}

/// Reads where the campaign stands.
pub fn status(campaign: &Campaign) -> Result<CampaignStatus, CampaignError> {
    let state = campaign.state()?;
    let world = campaign.look(&state);
    let gates = gates::evaluate(&state, &world);
    let last_job = state.benchmarks_started.last();
    let last_decision = state.gaps.last().map(|gap| gap.body.record.decision);
    Ok(CampaignStatus {
        campaign: campaign.id.clone(),
        root: campaign.root.clone(),
        resumed: None,
        phase: state.phase(),
        round: state.round(),
        events: state.events as usize,
        last_job: last_job.map(|job| job.body.job_id.clone()),
        last_decision: last_decision
            .and_then(|decision| Some(serde_json::to_value(decision).ok()?.as_str()?.to_owned())),
        gates,
        manifest_path: campaign.root.join("manifest.md"),
        log_path: campaign.log().path().to_path_buf(),
        rows_path: campaign.rows_path(),
        missing: Vec::new(),
        warnings: Vec::new(),
        next: String::new(),
    })
}
