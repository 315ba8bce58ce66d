//! What a job will cost, said before anything is launched.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::candidate::Candidate;
use super::foreseen;
use super::lineup::Lineup;
use super::metrics::Distribution;
use super::plan::{LoadPoint, Plan, Scenario};
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
    /// What should be mended before the job is worth its time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Guesses for a machine that was never measured; tokens a second.
const TYPICAL_INPUT_TPS: f64 = 30_000.0;
const TYPICAL_OUTPUT_TPS: f64 = 4_000.0;
/// What one sequence gets at most of it.
const TYPICAL_SEQUENCE_TPS: f64 = 100.0;

/// The cost of a plan, by what `rows` tells of earlier jobs.
pub fn estimate(plan: &Plan, lineup: &Lineup, rows: &Path) -> Cost {
    let (candidates, groups) = (&lineup.candidates, &lineup.groups);
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
    let sessions = search.len() + measure.len();
    let seen = Seen::read(rows);
    let ready = seen
        .ready_s
        .unwrap_or_else(|| typical_ready(plan, candidates));
    let shapes = lineup
        .cells
        .iter()
        .map(|(scenario, _, load)| Shape::of(plan, scenario, load));
    let times: Vec<(f64, Basis)> = shapes.map(|shape| seen.run(&shape)).collect();
    let session: f64 = times.iter().map(|(seconds, _)| seconds).sum();
    let weakest = times.iter().map(|(_, basis)| *basis).max();
    Cost {
        launches: launches as u32,
        runs: (sessions * times.len()) as u32,
        estimated_s: launches as f64 * ready + sessions as f64 * session,
        basis: seen.basis(weakest.unwrap_or(Basis::Typical), ready, rows),
        warnings: foreseen::unfair(plan, lineup),
    }
}

/// What the time of a run rests on, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Basis {
    Same,
    Scaled,
    Typical,
}

/// What decides how long a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Shape {
    input_len: f64,
    output_len: f64,
    num_prompts: f64,
    #[serde(default)]
    request_rate: Option<f64>,
    #[serde(default)]
    max_concurrency: Option<f64>,
}

impl Shape {
    fn of(plan: &Plan, scenario: &Scenario, load: &LoadPoint) -> Self {
        Self {
            input_len: scenario.input_len.into(),
            output_len: scenario.output_len.into(),
            num_prompts: plan.dataset.num_prompts.into(),
            request_rate: load.request_rate,
            max_concurrency: load.max_concurrency.map(f64::from),
        }
    }

    /// Seconds on a machine that was never measured.
    fn typical_s(&self) -> f64 {
        let running = self.max_concurrency.unwrap_or(f64::INFINITY);
        let output_tps = TYPICAL_OUTPUT_TPS.min(TYPICAL_SEQUENCE_TPS * running);
        let served =
            self.num_prompts * (self.input_len / TYPICAL_INPUT_TPS + self.output_len / output_tps);
        match self.request_rate {
            Some(rate) => served.max(self.num_prompts / rate),
            None => served,
        }
    }
}

/// What earlier rows of the same folder took.
#[derive(Default)]
struct Seen {
    ready_s: Option<f64>,
    /// Workload and seconds of each run, its warm-up included.
    runs: Vec<(Shape, f64)>,
}

impl Seen {
    fn read(rows: &Path) -> Self {
        let Ok(text) = std::fs::read_to_string(rows) else {
            return Self::default();
        };
        let rows: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|row: &Value| row["status"] == "ok")
            .collect();
        let runs = rows.iter().filter_map(|row| {
            let timing = &row["timing"];
            let seconds = timing["run_s"].as_f64()? + timing["warmup_s"].as_f64()?;
            Some((Shape::deserialize(&row["workload"]).ok()?, seconds))
        });
        Self {
            ready_s: median(
                rows.iter()
                    .filter_map(|row| row["timing"]["ready_s"].as_f64()),
            ),
            runs: runs.collect(),
        }
    }

    /// Seconds of a run: the median of runs of the same workload, else what is
    /// typical, scaled as the other runs were off it.
    fn run(&self, shape: &Shape) -> (f64, Basis) {
        let same = self.runs.iter().filter(|(seen, _)| seen == shape);
        if let Some(seconds) = median(same.map(|(_, seconds)| *seconds)) {
            return (seconds, Basis::Same);
        }
        let off = |(seen, seconds): &(Shape, f64)| {
            Some(seconds / seen.typical_s()).filter(|ratio| ratio.is_finite())
        };
        match median(self.runs.iter().filter_map(off)) {
            Some(ratio) => {
                let least = shape
                    .request_rate
                    .map_or(0.0, |rate| shape.num_prompts / rate);
                ((ratio * shape.typical_s()).max(least), Basis::Scaled)
            }
            None => (shape.typical_s(), Basis::Typical),
        }
    }

    fn basis(&self, weakest: Basis, ready: f64, rows: &Path) -> String {
        let place = format!("{} earlier rows in {}", self.runs.len(), rows.display());
        match weakest {
            Basis::Same => format!("medians of the same runs among {place}"),
            Basis::Scaled => {
                format!("{place}, of other workloads, scaled by tokens: rough")
            }
            Basis::Typical => format!(
                "no earlier rows: {ready:.0} s a launch, {TYPICAL_INPUT_TPS} tokens/s in and {TYPICAL_OUTPUT_TPS} out"
            ),
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    Distribution::new(values).percentile(50.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Shape = Shape {
        input_len: 300.0,
        output_len: 64.0,
        num_prompts: 24.0,
        request_rate: None,
        max_concurrency: Some(16.0),
    };

    fn seen() -> Seen {
        let dir = tempfile::tempdir().unwrap();
        let rows = dir.path().join("candidates.jsonl");
        let row = |seconds: f64| {
            serde_json::json!({
                "status": "ok",
                "workload": {"scenario": "chat", "input_len": 300, "output_len": 64,
                             "num_prompts": 24, "request_rate": null, "max_concurrency": 16},
                "timing": {"ready_s": 2.0, "run_s": seconds, "warmup_s": 0.5},
            })
        };
        let lines: Vec<String> = [1.0, 1.5, 2.0].map(|s| row(s).to_string()).to_vec();
        std::fs::write(&rows, lines.join("\n")).unwrap();
        Seen::read(&rows)
    }

    #[test]
    fn runs_of_the_same_workload_tell_best() {
        assert_eq!(seen().run(&SHORT), (2.0, Basis::Same));
    }

    #[test]
    fn other_workloads_are_scaled_by_their_tokens() {
        let long = Shape {
            input_len: 8000.0,
            output_len: 4000.0,
            num_prompts: 2000.0,
            max_concurrency: None,
            ..SHORT
        };
        let (seconds, basis) = seen().run(&long);
        assert_eq!(basis, Basis::Scaled);
        // 2,533 s are typical; the short runs took 2 s where 1.2 s are typical.
        let typical = 2000.0 * (8000.0 / 30_000.0 + 1.0);
        let ratio = 2.0 / (24.0 * (300.0 / 30_000.0 + 64.0 / 1600.0));
        assert!((seconds - typical * ratio).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn arrivals_bound_a_run_from_below() {
        let slow = Shape {
            request_rate: Some(0.5),
            ..SHORT
        };
        assert_eq!(slow.typical_s(), 48.0);
        assert_eq!(Seen::default().run(&slow), (48.0, Basis::Typical));
        assert!(seen().run(&slow).0 >= 48.0);
    }
}
