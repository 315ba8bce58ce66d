//! The best measured command of a framework, found again from its rows.

use std::path::{Path, PathBuf};

use super::candidate::{Candidate, candidates};
use super::plan::{Flags, Plan};
use super::ranking::{Standing, standings};
use super::request::BenchPayload;
use super::row::{Row, RowStatus, Workload};
use super::server::argv;
use super::{BenchError, rows_file};
use crate::job;
use crate::redact::redact_argv;

/// Whose command is wanted.
#[derive(Debug)]
pub struct WinnerQuery<'a> {
    /// A `candidates.jsonl`.
    pub rows: &'a Path,
    pub framework: &'a str,
    /// Default: the scenario in which the framework is furthest behind.
    pub scenario: Option<&'a str>,
    /// The plan that was measured; default: the one that the job recorded.
    pub plan: Option<Plan>,
}

/// A framework's best candidate in one scenario.
#[derive(Debug, Clone)]
pub struct Winner {
    pub plan: Plan,
    pub candidate: Candidate,
    pub workload: Workload,
    /// Samples of each request of its run.
    pub raw: Option<PathBuf>,
    /// The command as it was measured.
    pub argv: Vec<String>,
    /// The framework that is first in the scenario.
    pub leader: String,
}

/// Label of rows that are only a trial.
const SMOKE: &str = "smoke";

/// Finds the winner in the newest job that measured the framework.
pub fn winner(query: WinnerQuery<'_>) -> Result<Winner, BenchError> {
    let rows = rows_file::of_all(query.rows)?;
    let rows = newest_job(&rows, &query);
    let (best, leader) = slowest_cell(&rows, &query).ok_or_else(|| none(&query, &rows))?;
    let row = rows
        .iter()
        .rev()
        .find(|row| is_row_of(row, &best))
        .ok_or_else(|| none(&query, &rows))?;
    let plan = match query.plan {
        Some(plan) => plan,
        None => plan_of(row)?,
    };
    let candidate = candidate_of(&plan, row)?;
    check_command(&plan, &candidate, row)?;
    Ok(Winner {
        candidate,
        plan,
        workload: row.workload.clone(),
        raw: row.artifacts.raw_result.clone(),
        argv: row.server_argv.clone(),
        leader,
    })
}

fn fits(row: &Row, query: &WinnerQuery<'_>) -> bool {
    row.status == RowStatus::Ok
        && row.framework == query.framework
        && query
            .scenario
            .is_none_or(|scenario| row.workload.scenario == scenario)
}

/// Rows of the newest job that measured what is asked for; a trial counts only
/// where nothing else does.
fn newest_job(rows: &[Row], query: &WinnerQuery<'_>) -> Vec<Row> {
    let is_trial = |row: &Row| row.label.as_deref() == Some(SMOKE);
    let newest = |trial: bool| {
        rows.iter()
            .rev()
            .find(|row| fits(row, query) && (trial || !is_trial(row)))
    };
    let Some(newest) = newest(false).or_else(|| newest(true)) else {
        return rows.to_vec();
    };
    let of_job = |row: &&Row| row.job_id == newest.job_id;
    rows.iter().filter(of_job).cloned().collect()
}

/// The framework's best standing where it is furthest behind, and who leads.
fn slowest_cell(rows: &[Row], query: &WinnerQuery<'_>) -> Option<(Standing, String)> {
    let mut slowest: Option<(f64, Standing, String)> = None;
    for cell in standings(rows) {
        let mut good = cell.into_iter().filter(|standing| {
            standing.ok > 0
                && query
                    .scenario
                    .is_none_or(|scenario| standing.scenario == scenario)
        });
        let Some(first) = good.next() else { continue };
        let leader = first.framework.clone();
        let most = first.request_throughput;
        let own = std::iter::once(first)
            .chain(good)
            .find(|standing| standing.framework == query.framework);
        let Some(own) = own else { continue };
        let ratio = match (own.request_throughput, most) {
            (Some(own), Some(most)) if most > 0.0 => own / most,
            _ => 1.0,
        };
        if slowest.as_ref().is_none_or(|(least, ..)| ratio < *least) {
            slowest = Some((ratio, own, leader));
        }
    }
    slowest.map(|(_, standing, leader)| (standing, leader))
}

fn is_row_of(row: &Row, best: &Standing) -> bool {
    row.status == RowStatus::Ok
        && row.framework == best.framework
        && row.candidate_id == best.candidate_id
        && row.workload.scenario == best.scenario
        && row.workload.request_rate == best.request_rate
        && row.workload.max_concurrency == best.max_concurrency
}

fn none(query: &WinnerQuery<'_>, rows: &[Row]) -> BenchError {
    let mut measured: Vec<String> = rows
        .iter()
        .filter(|row| row.status == RowStatus::Ok)
        .map(|row| format!("{} {}", row.framework, row.workload.scenario))
        .collect();
    measured.sort_unstable();
    measured.dedup();
    BenchError::NoWinner {
        rows: query.rows.to_path_buf(),
        framework: query.framework.to_owned(),
        scenario: query.scenario.map(str::to_owned),
        measured,
    }
}

/// The plan that the row's job was given.
fn plan_of(row: &Row) -> Result<Plan, BenchError> {
    let gone = |reason: String| BenchError::PlanGone {
        job: row.job_id.clone(),
        reason,
    };
    let spec = job::open(&row.job_id)
        .and_then(|job| job.spec())
        .map_err(|error| gone(error.to_string()))?;
    serde_json::from_value::<BenchPayload>(spec.payload)
        .map(|payload| payload.plan)
        .map_err(|error| gone(error.to_string()))
}

fn candidate_of(plan: &Plan, row: &Row) -> Result<Candidate, BenchError> {
    let framework = plan
        .frameworks
        .get(&row.framework)
        .ok_or_else(|| BenchError::NoSuchFramework(row.framework.clone()))?;
    candidates(plan, &row.framework, framework)
        .list
        .into_iter()
        .find(|candidate| candidate.id == row.candidate_id)
        .ok_or_else(|| BenchError::CommandChanged {
            framework: row.framework.clone(),
            candidate: row.candidate_id.clone(),
            difference: "the plan no longer has this candidate".to_owned(),
        })
}

/// Refuses a plan that gives another command than the one that was measured;
/// only the port may differ.
fn check_command(plan: &Plan, candidate: &Candidate, row: &Row) -> Result<(), BenchError> {
    let framework = plan
        .frameworks
        .get(&row.framework)
        .ok_or_else(|| BenchError::NoSuchFramework(row.framework.clone()))?;
    let mut now = redact_argv(&argv(plan, framework, candidate, 0)?);
    let mut other_port = redact_argv(&argv(plan, framework, candidate, 1)?);
    let mut was = row.server_argv.as_slice();
    if plan.remote().is_some() {
        // Another host may have another entry point: flags are compared.
        let plain = Candidate {
            flags: Flags::new(),
            ..candidate.clone()
        };
        let entry = argv(plan, framework, &plain, 0)?.len().min(now.len());
        now.drain(..entry);
        other_port.drain(..entry);
        was = was
            .get(was.len().saturating_sub(now.len())..)
            .unwrap_or_default();
    }
    let differs = now
        .iter()
        .zip(&other_port)
        .zip(was)
        .find(|((now, other), was)| now == other && now != was)
        .map(|((now, _), was)| format!("`{was}` is now `{now}`"));
    let difference = match differs {
        Some(difference) => difference,
        None if now.len() != was.len() => {
            format!("it had {} arguments and has {}", was.len(), now.len())
        }
        None => return Ok(()),
    };
    Err(BenchError::CommandChanged {
        framework: row.framework.clone(),
        candidate: row.candidate_id.clone(),
        difference,
    })
}
