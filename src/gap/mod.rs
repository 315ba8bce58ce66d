//! Pure arithmetic from benchmark rows to a verdict on the target framework.
//!
//! [`check`] compares the best candidate of the target with the leader, the
//! best candidate of all other frameworks, scenario by scenario and load by
//! load. Repeat *i* of one is paired with repeat *i* of the other; the gap is
//! the mean of the pairs' log-ratios with a Student-t interval. `docs/gap.md`
//! states every rule.

pub mod attribution;
mod candidates;
mod decide;
mod error;
mod explain;
mod fairness;
mod interval;
mod record;
mod rows;
mod scenario;
mod student;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use error::GapError;
pub use explain::{explain_gaps, middle_pair};
pub use record::{
    Attribution, Better, DECIDING_METRIC, Decision, GapRecord, GapRequest, Other, Pair, Plateau,
    RoundProgress, ScenarioGap, SealedLeader, Side, Unfair, Verdict,
};
pub use rows::{MAX_LINE_BYTES, MAX_ROWS, Row, Rows, Status, read_rows};
pub use student::{two_sided_probability, two_sided_quantile};

use candidates::Yardstick;
use scenario::{Cell, compare, percent};

use crate::references::Replaceable;

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[Replaceable::new("where-to-look.toml", |_| {
    attribution::PLACES.problem()
})];

/// Level of every interval.
const CONFIDENCE: f64 = 0.95;
/// No more than this many repeats are asked for; there the point estimate decides.
pub const MAX_REPEATS: u32 = 10;
/// A round that improves the geomean by less than this is weak.
const MIN_IMPROVEMENT_PCT: f64 = 1.0;
/// Change of the sealed leader that is reported, and that stops the comparison.
const DRIFT_REPORTED: f64 = 1.01;
const DRIFT_UNFAIR: f64 = 1.03;

/// The bound of a tie, as a log-ratio: ln 1.01.
fn margin() -> f64 {
    1.01_f64.ln()
}

/// Beyond this log-ratio one pair alone decides: ln 1.05.
fn one_pair_margin() -> f64 {
    1.05_f64.ln()
}

/// Half the width of the 95% interval of the mean of `n` log-ratios with sample
/// standard deviation `spread`.
pub fn half_width(spread: f64, n: u32) -> f64 {
    interval::half_width(spread, n)
}

/// Compares the target with the leader in every scenario and load of the rows.
///
/// Reads nothing but its arguments; the same input gives the same record.
pub fn check(request: &GapRequest, rows: &Rows) -> Result<GapRecord, GapError> {
    let mut warnings = rows.warnings.clone();
    let better = better(&request.metric)?;
    let rows = chosen(request, &rows.rows, &mut warnings)?;
    require_known(request, &rows)?;
    let yardstick = Yardstick {
        metric: &request.metric,
        better,
    };
    let proven: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.status == Status::Ok)
        .map(|row| &*row.framework)
        .collect();
    let proven: Vec<&str> = proven.into_iter().collect();
    let scenarios: Vec<ScenarioGap> = cells(&rows)
        .iter()
        .map(|cell| compare(cell, request, yardstick, &proven, &mut warnings))
        .collect();
    let outcome = decide::decide(&scenarios, &request.target);
    Ok(GapRecord {
        target: request.target.clone(),
        metric: request.metric.clone(),
        better,
        geomean_gap_pct: geomean(&scenarios),
        decision: outcome.decision,
        decision_reason: outcome.reason,
        plateau: decide::plateau(&request.rounds),
        next: outcome.next,
        total: scenarios.len(),
        truncated: false,
        scenarios,
        warnings,
    })
}

/// Which way a metric is better, by its name.
fn better(metric: &str) -> Result<Better, GapError> {
    const RATES: [&str; 5] = [
        "throughput",
        "goodput",
        "_tps",
        "success_rate",
        "attainment",
    ];
    const LATENCIES: [&str; 4] = ["ttft", "tpot", "itl", "e2e"];
    if RATES.iter().any(|part| metric.contains(part)) {
        Ok(Better::Higher)
    } else if LATENCIES.iter().any(|part| metric.contains(part)) || metric.ends_with("_ms") {
        Ok(Better::Lower)
    } else {
        Err(GapError::NoDirection {
            metric: metric.to_owned(),
        })
    }
}

/// The rows of one job and label.
fn chosen<'a>(
    request: &GapRequest,
    rows: &'a [Row],
    warnings: &mut Vec<String>,
) -> Result<Vec<&'a Row>, GapError> {
    let none = |filter: Option<String>| GapError::NoRows { filter };
    let last = rows.last().ok_or_else(|| none(None))?;
    let mut kept: Vec<&Row> = match &request.label {
        Some(label) => rows
            .iter()
            .filter(|row| row.label.as_deref() == Some(label))
            .collect(),
        None => {
            let real: Vec<&Row> = rows
                .iter()
                .filter(|row| row.label.as_deref() != Some("smoke"))
                .collect();
            if real.is_empty() {
                rows.iter().collect()
            } else {
                real
            }
        }
    };
    let job = request
        .job_id
        .as_deref()
        .or_else(|| kept.last().unwrap_or(&last).job_id.as_deref());
    let before = kept.len();
    kept.retain(|row| row.job_id.as_deref() == job);
    if request.job_id.is_none() && kept.len() < before {
        warnings.push(format!(
            "{} rows of other jobs are left out: pairs are made within one job, {} here",
            before - kept.len(),
            job.unwrap_or("the one without a job_id")
        ));
    }
    drop_search(&mut kept);
    if kept.is_empty() {
        let filters = [("label", &request.label), ("job_id", &request.job_id)];
        let filter: Vec<String> = filters
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} `{value}`")))
            .collect();
        return Err(none(Some(filter.join(" and "))));
    }
    Ok(kept)
}

/// Leaves out the search rows of every framework that has repeats: the best of
/// several single runs looks better than it is, so they choose and never decide.
fn drop_search(rows: &mut Vec<&Row>) {
    let in_phase = |row: &Row, phase: &str| row.phase.as_deref() == Some(phase);
    let repeated: BTreeSet<&str> = rows
        .iter()
        .filter(|row| in_phase(row, "measure"))
        .map(|row| &*row.framework)
        .collect();
    rows.retain(|row| !in_phase(row, "max_load"));
    rows.retain(|row| !(in_phase(row, "search") && repeated.contains(&*row.framework)));
}

fn require_known(request: &GapRequest, rows: &[&Row]) -> Result<(), GapError> {
    if !rows.iter().any(|row| *row.framework == *request.target) {
        let known: BTreeSet<&str> = rows.iter().map(|row| &*row.framework).collect();
        return Err(GapError::UnknownTarget {
            target: request.target.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    let any_ok = rows.iter().any(|row| row.status == Status::Ok);
    let metric = request.metric.as_str();
    if any_ok && !rows.iter().any(|row| row.metrics.raw(metric).is_some()) {
        let known: BTreeSet<&str> = rows.iter().flat_map(|row| row.metrics.names()).collect();
        return Err(GapError::UnknownMetric {
            metric: metric.to_owned(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    Ok(())
}

/// Rows by scenario and load, in order of first appearance.
fn cells<'a>(rows: &[&'a Row]) -> Vec<Cell<'a>> {
    let mut cells: Vec<Cell<'a>> = Vec::new();
    for row in rows {
        let load = &row.workload;
        let known = cells.iter_mut().find(|cell| {
            cell.scenario == &*load.scenario
                && cell.request_rate == load.request_rate
                && cell.max_concurrency == load.max_concurrency
        });
        match known {
            Some(cell) => cell.rows.push(row),
            None => cells.push(Cell {
                scenario: &load.scenario,
                request_rate: load.request_rate,
                max_concurrency: load.max_concurrency,
                rows: vec![row],
            }),
        }
    }
    cells
}

/// Geometric mean of the ratios of the scenarios where both sides pass the SLA.
fn geomean(scenarios: &[ScenarioGap]) -> Option<f64> {
    let logs: Vec<f64> = scenarios
        .iter()
        .filter(|gap| {
            [&gap.target, &gap.leader]
                .into_iter()
                .all(|side| side.as_ref().is_some_and(|side| side.sla_passed))
        })
        .filter_map(|gap| gap.gap_pct)
        .map(|gap| (gap / 100.0).ln_1p())
        .collect();
    (!logs.is_empty()).then(|| percent(logs.iter().sum::<f64>() / logs.len() as f64))
}
