//! What a job will cost, said before anything is launched.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::candidate::Candidate;
use super::lineup::Lineup;
use super::plan::Plan;
use super::server::engine_of;
use super::session;

/// Launches and time of a job, as far as they can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Server launches at most.
    pub launches: u32,
    /// Scenario runs.
    pub runs: u32,
    pub estimated_s: f64,
    /// What the estimate rests on.
    pub basis: String,
}

/// Guesses for a machine that was never measured; tokens a second.
const TYPICAL_INPUT_TPS: f64 = 30_000.0;
const TYPICAL_OUTPUT_TPS: f64 = 4_000.0;

/// The cost of a plan, by what `rows` tells of earlier jobs.
pub fn estimate(plan: &Plan, lineup: &Lineup, rows: &Path) -> Cost {
    let (candidates, groups) = (&lineup.candidates, &lineup.groups);
    let cells = lineup.cells.len();
    let arms: Vec<usize> = groups
        .iter()
        .filter_map(|group| group.first().copied())
        .collect();
    let search = session::search(groups);
    let measure = session::interleaved(&arms, plan.search.repeats);
    let shared = plan.search.relaunch == super::plan::Relaunch::Shared;
    let mut launches = search.len();
    let mut last = None;
    for session in &measure {
        if !shared || last != Some(session.candidate) {
            launches += 1;
        }
        last = Some(session.candidate);
    }
    let runs = (search.len() + measure.len()) * cells;
    let seen = seen_before(rows);
    let ready = seen
        .ready_s
        .unwrap_or_else(|| typical_ready(plan, candidates));
    let run = seen.run_s.unwrap_or_else(|| typical_run(plan));
    Cost {
        launches: launches as u32,
        runs: runs as u32,
        estimated_s: launches as f64 * ready + runs as f64 * run,
        basis: match (seen.ready_s, seen.run_s) {
            (Some(_), Some(_)) => {
                format!(
                    "medians of {} earlier rows in {}",
                    seen.count,
                    rows.display()
                )
            }
            _ => format!(
                "no earlier rows: {ready:.0} s a launch, {run:.0} s a run at {TYPICAL_INPUT_TPS} tokens/s in and {TYPICAL_OUTPUT_TPS} out"
            ),
        },
    }
}

#[derive(Default)]
struct Seen {
    count: usize,
    ready_s: Option<f64>,
    run_s: Option<f64>,
}

/// Medians of what earlier rows of the same folder took.
fn seen_before(rows: &Path) -> Seen {
    let Ok(text) = std::fs::read_to_string(rows) else {
        return Seen::default();
    };
    let parsed: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|row: &Value| row["status"] == "ok")
        .collect();
    let median = |pick: fn(&Value) -> Option<f64>| {
        super::metrics::Distribution::new(parsed.iter().filter_map(pick)).percentile(50.0)
    };
    Seen {
        count: parsed.len(),
        ready_s: median(|row| row["timing"]["ready_s"].as_f64()),
        run_s: median(|row| {
            Some(row["timing"]["run_s"].as_f64()? + row["timing"]["warmup_s"].as_f64()?)
        }),
    }
}

fn typical_ready(plan: &Plan, candidates: &[Candidate]) -> f64 {
    let times: Vec<f64> = candidates
        .iter()
        .filter_map(|candidate| {
            let framework = plan.frameworks.get(&candidate.framework)?;
            let engine = engine_of(&candidate.framework, framework).ok()?;
            Some(engine.typical_ready_s)
        })
        .collect();
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

fn typical_run(plan: &Plan) -> f64 {
    let scenarios = plan.scenarios();
    let requests = f64::from(plan.dataset.num_prompts);
    let total: f64 = scenarios
        .iter()
        .map(|scenario| {
            requests
                * (f64::from(scenario.input_len) / TYPICAL_INPUT_TPS
                    + f64::from(scenario.output_len) / TYPICAL_OUTPUT_TPS)
        })
        .sum();
    total / scenarios.len().max(1) as f64
}
