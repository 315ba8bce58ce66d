//! Which candidate is best: ok, SLA passed, request throughput, output
//! throughput, p50 TTFT, p50 TPOT, fewer GPUs, in that order.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metrics::RowMetrics;
use super::row::{Row, RowStatus};
use super::session::Phase;
use crate::load_point::load_point;

/// A candidate's place in one scenario at one load, over its repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    pub scenario: String,
    /// Requests a second; none: all at once.
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<u32>,
    pub framework: String,
    pub candidate_id: String,
    /// Runs that went well, and runs in all.
    pub ok: u32,
    pub runs: u32,
    /// Whether the SLA held in every run.
    pub sla_passed: bool,
    /// Means over the good runs.
    pub request_throughput: Option<f64>,
    pub output_token_throughput: Option<f64>,
    pub p50_ttft_ms: Option<f64>,
    pub p50_tpot_ms: Option<f64>,
    pub gpu_count: u32,
}

impl Standing {
    /// The scenario with its load, for people.
    pub fn place(&self) -> String {
        load_point(&self.scenario, self.request_rate, self.max_concurrency)
    }
}

/// The standings of every candidate in every scenario and load, best first
/// within each. Measured rows count where a candidate has any, else search rows.
pub fn standings(rows: &[Row]) -> Vec<Vec<Standing>> {
    let mut cells: Vec<Vec<(&Row, Vec<&Row>)>> = Vec::new();
    for row in rows.iter().filter(|row| row.phase != Phase::MaxLoad) {
        let cell = match cells.iter_mut().find(|cell| same_cell(cell[0].0, row)) {
            Some(cell) => cell,
            None => {
                cells.push(Vec::new());
                let last = cells.len() - 1;
                &mut cells[last]
            }
        };
        let known = cell.iter_mut().find(|(first, _)| {
            first.framework == row.framework && first.candidate_id == row.candidate_id
        });
        match known {
            Some((_, rows)) => rows.push(row),
            None => cell.push((row, vec![row])),
        }
    }
    cells
        .into_iter()
        .map(|cell| {
            let mut standings: Vec<Standing> = cell
                .into_iter()
                .map(|(first, rows)| standing(first, &rows))
                .collect();
            standings.sort_by(compare);
            standings
        })
        .collect()
}

fn same_cell(a: &Row, b: &Row) -> bool {
    let (a, b) = (&a.workload, &b.workload);
    a.scenario == b.scenario
        && a.request_rate == b.request_rate
        && a.max_concurrency == b.max_concurrency
}

fn standing(first: &Row, rows: &[&Row]) -> Standing {
    let measured: Vec<&&Row> = rows
        .iter()
        .filter(|row| row.phase == Phase::Measure)
        .collect();
    let counted: Vec<&&Row> = if measured.is_empty() {
        rows.iter().collect()
    } else {
        measured
    };
    let good: Vec<&RowMetrics> = counted
        .iter()
        .filter(|row| row.status == RowStatus::Ok)
        .filter_map(|row| row.metrics.as_ref())
        .collect();
    let mean = |pick: fn(&RowMetrics) -> Option<f64>| {
        let values: Vec<f64> = good.iter().filter_map(|metrics| pick(metrics)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Standing {
        scenario: first.workload.scenario.clone(),
        request_rate: first.workload.request_rate,
        max_concurrency: first.workload.max_concurrency,
        framework: first.framework.clone(),
        candidate_id: first.candidate_id.clone(),
        ok: good.len() as u32,
        runs: counted.len() as u32,
        sla_passed: !good.is_empty() && counted.iter().all(|row| row.sla.passed),
        request_throughput: mean(|metrics| metrics.request_throughput),
        output_token_throughput: mean(|metrics| metrics.output_token_throughput),
        p50_ttft_ms: mean(|metrics| metrics.p50_ttft_ms.or(metrics.mean_ttft_ms)),
        p50_tpot_ms: mean(|metrics| metrics.p50_tpot_ms.or(metrics.mean_tpot_ms)),
        gpu_count: first.hardware.gpu_count,
    }
}

/// Better first.
fn compare(a: &Standing, b: &Standing) -> Ordering {
    let whole = |s: &Standing| s.ok > 0 && s.ok == s.runs;
    whole(b)
        .cmp(&whole(a))
        .then((b.ok > 0).cmp(&(a.ok > 0)))
        .then(b.sla_passed.cmp(&a.sla_passed))
        .then_with(|| higher(a.request_throughput, b.request_throughput))
        .then_with(|| higher(a.output_token_throughput, b.output_token_throughput))
        .then_with(|| lower(a.p50_ttft_ms, b.p50_ttft_ms))
        .then_with(|| lower(a.p50_tpot_ms, b.p50_tpot_ms))
        .then(a.gpu_count.cmp(&b.gpu_count))
}

fn higher(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// A missing value ranks below any that is there.
fn lower(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: &str) -> Standing {
        Standing {
            scenario: "chat".to_owned(),
            request_rate: None,
            max_concurrency: None,
            framework: name.to_owned(),
            candidate_id: "base".to_owned(),
            ok: 1,
            runs: 1,
            sla_passed: true,
            request_throughput: Some(5.0),
            output_token_throughput: Some(5000.0),
            p50_ttft_ms: Some(100.0),
            p50_tpot_ms: Some(10.0),
            gpu_count: 1,
        }
    }

    fn order(mut list: Vec<Standing>) -> Vec<String> {
        list.sort_by(compare);
        list.into_iter().map(|s| s.framework).collect()
    }

    #[test]
    fn each_criterion_decides_in_its_turn() {
        type Worsen = fn(&mut Standing);
        let cases: [(Worsen, &str); 7] = [
            (|s| s.ok = 0, "not ok"),
            (|s| s.sla_passed = false, "SLA broken"),
            (|s| s.request_throughput = Some(4.9), "slower"),
            (|s| s.output_token_throughput = Some(4999.0), "fewer tokens"),
            (|s| s.p50_ttft_ms = Some(100.1), "later first token"),
            (|s| s.p50_tpot_ms = None, "metric missing"),
            (|s| s.gpu_count = 2, "more GPUs"),
        ];
        for (worsen, name) in cases {
            let mut worse = standing(name);
            worsen(&mut worse);
            assert_eq!(order(vec![worse, standing("best")])[0], "best", "{name}");
        }
    }

    #[test]
    fn the_sla_comes_before_speed() {
        let mut fast = standing("fast");
        fast.request_throughput = Some(9.0);
        fast.sla_passed = false;
        assert_eq!(order(vec![fast, standing("kept")]), ["kept", "fast"]);
    }
}
