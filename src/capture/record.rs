//! What a capture left, and what a caller is told of it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CaptureError;
use super::lengths::Lengths;
use super::payload::{CapturePayload, payload_of};
use super::request::{CapturedStage, Graphs};
use crate::bench::RowSource;
use crate::disk;
use crate::fault::Fault;
use crate::job::{JobFolder, JobState, JobStatus, Progress};
use crate::triage::TriageRecord;

/// `result.json` of a capture job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureResult {
    pub traces: Vec<TraceFile>,
    /// The command that was launched, secrets replaced; empty for a running server.
    pub server_argv: Vec<String>,
    /// The version of what was launched.
    #[serde(default)]
    pub framework_version: Option<String>,
    /// The checkout that it ran, where the plan names one.
    #[serde(default)]
    pub source: Option<RowSource>,
    pub launches: u32,
    pub wall_s: f64,
    /// `report.json` of the analysis.
    pub report_json: PathBuf,
    /// The digest in the campaign.
    pub digest_path: Option<PathBuf>,
    pub warnings: Vec<String>,
    /// The analysis, tables cut short.
    pub analysis: TriageRecord,
}

/// One trace on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceFile {
    pub stage: CapturedStage,
    pub graphs: Graphs,
    pub rank: u32,
    pub path: PathBuf,
    pub bytes: u64,
}

/// A capture job as it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CaptureStatus {
    pub job_id: String,
    pub state: JobState,
    /// What happens now.
    pub message: String,
    /// Recordings done and to be done; the analysis counts as one.
    pub progress: Progress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Tokens of the requests that were recorded.
    pub lengths: Lengths,
    pub traces: Vec<TraceFile>,
    /// The checkout that the server ran, where the plan names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RowSource>,
    /// The digest in the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_path: Option<PathBuf>,
    pub log_path: PathBuf,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Fault>,
}

/// A capture job and, once it is done, what its traces say.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CaptureRecord {
    #[serde(flatten)]
    pub job: CaptureStatus,
    #[serde(flatten)]
    pub analysis: TriageRecord,
}

/// Reads a capture job; `full` gives every row of the tables.
pub fn record(job: &JobFolder, full: bool) -> Result<CaptureRecord, CaptureError> {
    let payload = payload_of(job.spec()?.payload)?;
    let status = job.status()?;
    let result: Option<CaptureResult> = match job.result()? {
        Some(value) => Some(serde_json::from_value(value).map_err(CaptureError::Record)?),
        None => None,
    };
    let next = next(job, &status);
    let Some(result) = result else {
        return Ok(CaptureRecord {
            analysis: unfinished(payload.framework.clone(), next),
            job: told(job, status, payload),
        });
    };
    let mut analysis = result.analysis;
    if full {
        let report = disk::read(&result.report_json)?;
        let path = analysis.report_path.take();
        analysis = serde_json::from_slice(&report).map_err(CaptureError::Record)?;
        analysis.report_path = path;
    }
    // What the capture itself met comes first.
    analysis.warnings.splice(..0, result.warnings);
    let mut job = told(job, status, payload);
    job.traces = result.traces;
    job.source = result.source;
    job.digest_path = result.digest_path;
    Ok(CaptureRecord { job, analysis })
}

fn told(job: &JobFolder, status: JobStatus, payload: CapturePayload) -> CaptureStatus {
    CaptureStatus {
        job_id: job.id.clone(),
        state: status.state,
        message: status.message,
        progress: status.progress,
        scenario: payload.scenario,
        lengths: payload.lengths,
        traces: Vec::new(),
        source: None,
        digest_path: None,
        log_path: job.log(),
        failure: status.fault,
    }
}

fn unfinished(framework: String, next: String) -> TriageRecord {
    TriageRecord {
        framework: Some(framework),
        next,
        ..TriageRecord::default()
    }
}

fn next(job: &JobFolder, status: &JobStatus) -> String {
    match status.state {
        JobState::Queued | JobState::Running => {
            format!("profile {{\"job_id\": \"{}\", \"wait_s\": 240}}", job.id)
        }
        JobState::Failed => "mend what `failure` names, then capture again".to_owned(),
        _ => "give the same capture again".to_owned(),
    }
}

impl CapturePayload {
    /// What is captured, for messages.
    pub(super) fn title(&self) -> String {
        match &self.scenario {
            Some(scenario) => format!("{} {scenario}", self.framework),
            None => self.framework.clone(),
        }
    }
}
