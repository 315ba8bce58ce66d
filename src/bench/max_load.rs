//! The highest request rate that keeps the SLA, by bisection.
//!
//! A rate passes when the 95% Wilson interval of the share of good requests
//! lies above the wanted share, fails when it lies below, and is undecided
//! otherwise. An undecided rate counts as too high for where to look next, and
//! stays undecided in the result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metrics::{Verdict, wilson_interval};
use super::row::{Row, RowStatus};

/// What the plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxLoadSearch {
    /// Requests/s between which the answer is sought.
    pub low: f64,
    pub high: f64,
    /// Share of requests that must keep every latency limit of the SLA.
    pub attainment: f64,
    /// Rates tried at most, for each framework and scenario.
    pub steps: u32,
    /// Requests of one rate. Fewer than `z² · attainment / (1 - attainment)`,
    /// 73 at the default, can never pass.
    pub num_prompts: u32,
}

impl Default for MaxLoadSearch {
    fn default() -> Self {
        Self {
            low: 0.5,
            high: 64.0,
            attainment: 0.95,
            steps: 8,
            num_prompts: 200,
        }
    }
}

/// One rate and how it went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Offered requests/s.
    pub request_rate: f64,
    /// Share of requests that kept every limit, with its 95% Wilson interval.
    pub share: f64,
    pub interval: [f64; 2],
    pub verdict: Verdict,
}

/// What a bisection found for one framework and scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MaxLoad {
    pub framework: String,
    pub candidate_id: String,
    pub scenario: String,
    /// Highest rate that passed; none: not even the lowest.
    pub highest_pass: Option<f64>,
    /// Lowest rate above it that failed; none: nothing that was tried failed.
    pub lowest_fail: Option<f64>,
    /// Whether only passes and failures enclose the answer.
    pub resolved: bool,
    pub trials: Vec<Trial>,
}

/// Two rates closer than this share are not told apart.
const CLOSE: f64 = 1.05;

impl Trial {
    /// The verdict of a run at a rate; a run that failed as a whole fails.
    pub fn of(row: &Row, wanted: f64) -> Option<Self> {
        let request_rate = row.workload.request_rate?;
        let attained = row.sla.attainment.as_ref().zip(row.extras.as_ref());
        let (good, count) = match attained {
            Some((slo, extras)) if row.status == RowStatus::Ok => {
                let count = extras.requests;
                let good = (slo.slo_attainment * count as f64).round() as usize;
                (good, count)
            }
            _ => (0, row.workload.num_prompts as usize),
        };
        let interval = wilson_interval(good, count);
        Some(Self {
            request_rate,
            share: good as f64 / count.max(1) as f64,
            interval,
            verdict: if interval[0] >= wanted {
                Verdict::Pass
            } else if interval[1] < wanted {
                Verdict::Fail
            } else {
                Verdict::Undecided
            },
        })
    }
}

/// The next rate to try: the ends first, then the geometric middle of what is
/// left. None: the answer is known as closely as it is sought.
pub fn next_rate(search: &MaxLoadSearch, trials: &[Trial]) -> Option<f64> {
    if trials.len() >= search.steps as usize {
        return None;
    }
    let tried = |rate: f64| trials.iter().any(|trial| trial.request_rate == rate);
    if !tried(search.low) {
        return Some(search.low);
    }
    let pass = highest_pass(trials)?;
    if !tried(search.high) {
        return Some(search.high);
    }
    let above = trials
        .iter()
        .map(|trial| trial.request_rate)
        .filter(|rate| *rate > pass)
        .reduce(f64::min)?;
    let middle = rounded((pass * above).sqrt());
    (above / pass > CLOSE && !tried(middle)).then_some(middle)
}

/// Three significant digits: a rate that people can type.
fn rounded(rate: f64) -> f64 {
    let digits = 2 - rate.log10().floor() as i32;
    let scale = 10f64.powi(digits);
    (rate * scale).round() / scale
}

fn highest_pass(trials: &[Trial]) -> Option<f64> {
    trials
        .iter()
        .filter(|trial| trial.verdict == Verdict::Pass)
        .map(|trial| trial.request_rate)
        .reduce(f64::max)
}

impl MaxLoad {
    /// The result of all trials of one framework and scenario.
    pub fn of(framework: &str, candidate_id: &str, scenario: &str, trials: Vec<Trial>) -> Self {
        let highest_pass = highest_pass(&trials);
        let above = |trial: &&Trial| highest_pass.is_none_or(|pass| trial.request_rate > pass);
        let lowest = |verdict: Verdict| {
            trials
                .iter()
                .filter(above)
                .filter(|trial| trial.verdict == verdict)
                .map(|trial| trial.request_rate)
                .reduce(f64::min)
        };
        Self {
            framework: framework.to_owned(),
            candidate_id: candidate_id.to_owned(),
            scenario: scenario.to_owned(),
            highest_pass,
            lowest_fail: lowest(Verdict::Fail),
            resolved: lowest(Verdict::Undecided).is_none(),
            trials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(request_rate: f64, verdict: Verdict) -> Trial {
        Trial {
            request_rate,
            share: 0.9,
            interval: [0.85, 0.95],
            verdict,
        }
    }

    /// Bisects towards a server that keeps its SLA up to `most` requests/s.
    fn bisect(search: &MaxLoadSearch, most: f64) -> Vec<Trial> {
        let mut trials = Vec::new();
        while let Some(rate) = next_rate(search, &trials) {
            let verdict = if rate <= most {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            trials.push(trial(rate, verdict));
        }
        trials
    }

    #[test]
    fn the_ends_come_first_then_the_geometric_middle() {
        let search = MaxLoadSearch {
            low: 1.0,
            high: 64.0,
            ..MaxLoadSearch::default()
        };
        let rates: Vec<f64> = bisect(&search, 10.0)
            .iter()
            .map(|t| t.request_rate)
            .collect();
        assert_eq!(rates, [1.0, 64.0, 8.0, 22.6, 13.4, 10.4, 9.12, 9.74]);
        let found = MaxLoad::of("a", "base", "chat", bisect(&search, 10.0));
        assert_eq!(found.highest_pass, Some(9.74));
        assert_eq!(found.lowest_fail, Some(10.4));
        assert!(found.resolved);
    }

    #[test]
    fn it_stops_where_nothing_is_left_to_find() {
        let search = MaxLoadSearch::default();
        assert_eq!(bisect(&search, 0.1).len(), 1);
        assert_eq!(bisect(&search, 1000.0).len(), 2);
        let none = MaxLoad::of("a", "base", "chat", bisect(&search, 0.1));
        assert_eq!((none.highest_pass, none.lowest_fail), (None, Some(0.5)));
    }

    #[test]
    fn an_undecided_rate_is_taken_as_too_high_and_reported() {
        let search = MaxLoadSearch {
            low: 1.0,
            high: 4.0,
            ..MaxLoadSearch::default()
        };
        let trials = vec![trial(1.0, Verdict::Pass), trial(4.0, Verdict::Undecided)];
        assert_eq!(next_rate(&search, &trials), Some(2.0));
        assert!(!MaxLoad::of("a", "base", "chat", trials).resolved);
    }
}
