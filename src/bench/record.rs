//! What `run_benchmark` answers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::ranking::Standing;
use super::request::BenchPayload;
use super::row::{Row, RowStatus};
use super::session::Phase;
use super::{BenchError, BenchResult, rows_file};
use crate::fault::Fault;
use crate::job::{JobFolder, JobState, Progress};
use crate::load_point::load_point;

/// A benchmark job as it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BenchRecord {
    pub job_id: String,
    pub state: JobState,
    /// What happens now.
    pub message: String,
    /// Scenario runs done and to be done.
    pub progress: Progress,
    /// What the job costs, said when it is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Rows so far, the last first.
    pub rows: Vec<BriefRow>,
    /// Rows in all.
    pub total: usize,
    /// Whether `rows` leaves some out.
    pub truncated: bool,
    /// The best candidate of each scenario and load, once the job is done.
    pub winners: Vec<Standing>,
    pub candidates_path: PathBuf,
    pub summary_path: PathBuf,
    pub log_path: PathBuf,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Fault>,
    pub warnings: Vec<String>,
    /// The next call that makes sense.
    pub next: String,
}

/// The few numbers of a row that decide.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BriefRow {
    pub framework: String,
    pub candidate_id: String,
    pub scenario: String,
    /// Requests a second; absent for all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    pub phase: Phase,
    pub repeat: u32,
    pub status: RowStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    pub sla_passed: bool,
    /// Requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_throughput: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ttft_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_tpot_ms: Option<f64>,
}

impl BriefRow {
    /// The scenario with its load, for people.
    pub fn place(&self) -> String {
        load_point(&self.scenario, self.request_rate, self.max_concurrency)
    }
}

/// More rows than this are asked for with `detail: full`.
const BRIEF_ROWS: usize = 12;

/// Reads a benchmark job and its rows.
pub fn record(job: &JobFolder, cost: Option<Cost>, full: bool) -> Result<BenchRecord, BenchError> {
    let payload: BenchPayload =
        serde_json::from_value(job.spec()?.payload).map_err(BenchError::Result)?;
    let status = job.status()?;
    let rows = rows_file::of_job(&payload.rows_path(), &job.id)?;
    let result: Option<BenchResult> = match job.result()? {
        Some(value) => Some(serde_json::from_value(value).map_err(BenchError::Result)?),
        None => None,
    };
    let most = if full { rows.len() } else { BRIEF_ROWS };
    let next = next(job, status.state, &payload);
    let (winners, mut warnings) =
        result.map_or_else(Default::default, |result| (result.winners, result.warnings));
    for row in &rows {
        for warning in &row.warnings {
            warnings.push(format!(
                "{} {} {} repeat {}: {warning}",
                row.framework, row.candidate_id, row.workload.scenario, row.repeat
            ));
        }
    }
    if warnings.len() > BRIEF_ROWS && !full {
        let more = warnings.len() - BRIEF_ROWS;
        warnings.truncate(BRIEF_ROWS);
        warnings.push(format!("{more} more in {}", payload.rows_path().display()));
    }
    Ok(BenchRecord {
        job_id: job.id.clone(),
        state: status.state,
        message: status.message,
        progress: status.progress,
        cost,
        total: rows.len(),
        truncated: rows.len() > most,
        rows: rows.iter().rev().take(most).map(brief).collect(),
        winners,
        candidates_path: payload.rows_path(),
        summary_path: payload.summary_path(),
        log_path: job.log(),
        failure: status.fault,
        warnings,
        next,
    })
}

fn brief(row: &Row) -> BriefRow {
    let metrics = row.metrics.as_ref();
    BriefRow {
        framework: row.framework.clone(),
        candidate_id: row.candidate_id.clone(),
        scenario: row.workload.scenario.clone(),
        request_rate: row.workload.request_rate,
        max_concurrency: row.workload.max_concurrency,
        phase: row.phase,
        repeat: row.repeat,
        status: row.status,
        failure_reason: row.failure_reason.clone(),
        sla_passed: row.sla.passed,
        request_throughput: metrics.and_then(|metrics| metrics.request_throughput),
        p50_ttft_ms: metrics.and_then(|metrics| metrics.p50_ttft_ms),
        p50_tpot_ms: metrics.and_then(|metrics| metrics.p50_tpot_ms),
    }
}

fn next(job: &JobFolder, state: JobState, payload: &BenchPayload) -> String {
    match state {
        JobState::Queued | JobState::Running => {
            format!(
                "run_benchmark {{\"job_id\": \"{}\", \"wait_s\": 240}}",
                job.id
            )
        }
        JobState::Done => match &payload.campaign {
            Some(root) => format!("check_gap {{\"campaign\": \"{}\"}}", root.display()),
            None => {
                let target = payload.plan.frameworks.keys().next();
                format!(
                    "check_gap {{\"rows\": \"{}\", \"target\": \"{}\"}}",
                    payload.rows_path().display(),
                    target.map_or("sglang", String::as_str)
                )
            }
        },
        JobState::Failed => {
            "mend what `failure` names, then give the same plan again: finished rows are kept"
                .to_owned()
        }
        JobState::Cancelled | JobState::Lost => {
            "give the same plan again to resume: finished rows are kept".to_owned()
        }
    }
}
