//! `campaign status`: where a campaign stands, from its log alone.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event_log::{Event, EventKind};
use super::{Campaign, CampaignError};

/// How far a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Opened; nothing is measured.
    Opened,
    /// A benchmark was started and has not ended.
    Benchmarking,
    /// Rows are there; no gap was decided since.
    Measured,
    /// A gap was decided on the newest rows.
    Compared,
}

/// Where a campaign stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignStatus {
    pub campaign: String,
    pub root: PathBuf,
    /// Whether an `open` call found it open already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<bool>,
    pub phase: Phase,
    /// Rounds of the loop so far.
    pub round: u32,
    pub events: usize,
    /// The newest benchmark job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_job: Option<String>,
    /// The newest gap decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decision: Option<String>,
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
    let events = campaign.log().read()?;
    let phase = phase(&events);
    let last_job = newest(&events, EventKind::BenchmarkStarted, "job_id");
    let (missing, next) = outlook(campaign, phase, last_job.as_deref());
    Ok(CampaignStatus {
        campaign: campaign.id.clone(),
        root: campaign.root.clone(),
        resumed: None,
        phase,
        round: events
            .iter()
            .filter_map(|event| event.round)
            .max()
            .unwrap_or(0),
        events: events.len(),
        last_decision: newest(&events, EventKind::GapChecked, "decision"),
        manifest_path: campaign.root.join("manifest.md"),
        log_path: campaign.log().path().to_path_buf(),
        rows_path: campaign.rows_path(),
        last_job,
        missing,
        warnings: Vec::new(),
        next,
    })
}

fn phase(events: &[Event]) -> Phase {
    let last = events.iter().rev().find_map(|event| match event.kind {
        EventKind::CampaignOpened => None,
        EventKind::BenchmarkStarted => Some(Phase::Benchmarking),
        EventKind::BenchmarkEnded => Some(Phase::Measured),
        EventKind::GapChecked => Some(Phase::Compared),
    });
    last.unwrap_or(Phase::Opened)
}

fn newest(events: &[Event], kind: EventKind, key: &str) -> Option<String> {
    let event = events.iter().rev().find(|event| event.kind == kind)?;
    Some(event.body.get(key)?.as_str()?.to_owned())
}

fn outlook(campaign: &Campaign, phase: Phase, job: Option<&str>) -> (Vec<String>, String) {
    let root = campaign.root.display();
    match phase {
        Phase::Opened => (
            vec!["a benchmark of the target and of every framework compared".to_owned()],
            format!(
                "run_benchmark {{\"campaign\": \"{root}\", \"label\": \"smoke\", \"plan\": \"/abs/plan.yaml\"}}"
            ),
        ),
        Phase::Benchmarking => (
            vec!["the end of the running benchmark".to_owned()],
            format!(
                "run_benchmark {{\"job_id\": \"{}\", \"wait_s\": 240}}",
                job.unwrap_or_default()
            ),
        ),
        Phase::Measured => (
            vec!["a gap decision on the newest rows".to_owned()],
            format!("check_gap {{\"campaign\": \"{root}\"}}"),
        ),
        Phase::Compared => (
            Vec::new(),
            format!(
                "run_benchmark {{\"campaign\": \"{root}\", \"label\": \"smoke\", \"plan\": \"/abs/plan.yaml\"}}"
            ),
        ),
    }
}
