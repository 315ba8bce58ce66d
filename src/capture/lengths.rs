//! How long the prompts and outputs of a capture are.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CaptureError;
use crate::bench::load::{Sample, read_samples};
use crate::bench::plan::{DatasetKind, Plan};
use crate::bench::{Winner, load};

/// Tokens of a prefill's prompt and of a decode's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lengths {
    /// Prompt tokens of a prefill request, which asks for one output token.
    pub input_len: u32,
    /// Output tokens of a decode request, which has one prompt token.
    pub output_len: u32,
    /// Where the lengths come from.
    pub basis: String,
}

impl Lengths {
    /// Those that the caller gives instead.
    pub fn or(self, input_len: Option<u32>, output_len: Option<u32>) -> Self {
        if input_len.is_none() && output_len.is_none() {
            return self;
        }
        Self {
            input_len: input_len.unwrap_or(self.input_len),
            output_len: output_len.unwrap_or(self.output_len),
            basis: "as asked".to_owned(),
        }
    }

    /// Those of a measured scenario: asked lengths where the prompts are
    /// random, else the slower of its p50 and p95 requests.
    pub fn of_winner(winner: &Winner) -> Result<Self, CaptureError> {
        let workload = &winner.workload;
        if let (Some(input_len), Some(output_len)) = (workload.input_len, workload.output_len) {
            return Ok(Self {
                input_len,
                output_len,
                basis: format!("scenario {}", workload.scenario),
            });
        }
        let bucket = |input: Option<f64>, output: Option<f64>, name: &'static str| {
            Some(Bucket {
                input: input?,
                output: output?,
                name,
            })
        };
        let buckets = [
            bucket(workload.input_len_p50, workload.output_len_p50, "p50"),
            bucket(workload.input_len_p95, workload.output_len_p95, "p95"),
        ];
        let samples = winner.raw.as_deref().map(samples_of).unwrap_or_default();
        slowest(&buckets.into_iter().flatten().collect::<Vec<_>>(), &samples)
            .map(|bucket| bucket.lengths(&workload.scenario))
            .ok_or_else(|| {
                CaptureError::invalid(
                    format!(
                        "the row of scenario {} does not say how long its requests were",
                        workload.scenario
                    ),
                    "give input_len and output_len",
                )
            })
    }

    /// Those of a plan's scenario, the first with the longest prompts by default.
    pub fn of_plan(plan: &Plan, scenario: Option<&str>) -> Result<Self, CaptureError> {
        if plan.dataset.kind == DatasetKind::Jsonl {
            return Err(CaptureError::invalid(
                "the plan's prompts come from a file, so that their lengths are known only once measured",
                "give input_len and output_len",
            ));
        }
        let scenarios = plan.scenarios();
        let found = match scenario {
            Some(name) => scenarios.iter().find(|known| known.name == name),
            None => scenarios.iter().max_by_key(|known| known.input_len),
        };
        match found {
            Some(found) => Ok(Self {
                input_len: found.input_len,
                output_len: found.output_len,
                basis: format!("scenario {}", found.name),
            }),
            None => Err(CaptureError::invalid(
                format!(
                    "the plan has no scenario `{}`",
                    scenario.unwrap_or_default()
                ),
                format!(
                    "scenarios: {}",
                    scenarios
                        .iter()
                        .map(|known| known.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )),
        }
    }

    /// Those of the standard scenarios, for a server that no plan describes.
    pub fn standard(scenario: Option<&str>) -> Option<Self> {
        let (input_len, name) = match scenario {
            Some("chat") => (1000, "chat"),
            Some("summarization") => (8000, "summarization"),
            _ => return None,
        };
        Some(Self {
            input_len,
            output_len: 1000,
            basis: format!("standard scenario {name}"),
        })
    }
}

/// Requests around a percentile of both lengths.
struct Bucket {
    input: f64,
    output: f64,
    name: &'static str,
}

impl Bucket {
    fn lengths(&self, scenario: &str) -> Lengths {
        Lengths {
            input_len: self.input.round().max(1.0) as u32,
            output_len: self.output.round().max(1.0) as u32,
            basis: format!(
                "the {} request of scenario {scenario}, the slower bucket",
                self.name
            ),
        }
    }

    /// Distance of a request in relative lengths.
    fn distance(&self, sample: &Sample) -> Option<f64> {
        let input = sample.prompt_len()? as f64;
        let output = sample.output_tokens? as f64;
        Some(
            (input - self.input).abs() / self.input.max(1.0)
                + (output - self.output).abs() / self.output.max(1.0),
        )
    }
}

/// The bucket whose requests took longest, each request in its nearest bucket;
/// without samples the last, which has the longest requests.
fn slowest<'a>(buckets: &'a [Bucket], samples: &[Sample]) -> Option<&'a Bucket> {
    let mut sums = vec![(0.0, 0_u32); buckets.len()];
    for sample in samples.iter().filter(|sample| sample.is_ok()) {
        let distances = buckets.iter().map(|bucket| bucket.distance(sample));
        let nearest = distances
            .enumerate()
            .filter_map(|(index, distance)| Some((index, distance?)))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        if let (Some((index, _)), Some(end)) = (nearest, sample.end_ns) {
            sums[index].0 += end as f64;
            sums[index].1 += 1;
        }
    }
    let mean = |index: usize| match sums[index] {
        (_, 0) => None,
        (sum, count) => Some(sum / f64::from(count)),
    };
    (0..buckets.len())
        .max_by(|a, b| {
            let (a, b) = (mean(*a), mean(*b));
            a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0))
        })
        .map(|index| &buckets[index])
}

/// Recorded samples; a file that is gone leaves the choice to the lengths alone.
fn samples_of(path: &Path) -> Vec<load::Sample> {
    read_samples(path).unwrap_or_else(|error| {
        tracing::warn!(%error, "the samples of the measured run were not read");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> Vec<Bucket> {
        vec![
            Bucket {
                input: 100.0,
                output: 400.0,
                name: "p50",
            },
            Bucket {
                input: 4000.0,
                output: 500.0,
                name: "p95",
            },
        ]
    }

    fn sample(input: u64, output: u64, end_ms: u64) -> Sample {
        Sample {
            prompt_tokens: Some(input),
            output_tokens: Some(output),
            end_ns: Some(end_ms * 1_000_000),
            ..Sample::default()
        }
    }

    #[test]
    fn the_slower_bucket_by_recorded_latency_is_taken() {
        let buckets = buckets();
        let slow_short = [
            sample(90, 410, 9000),
            sample(120, 380, 8000),
            sample(4100, 480, 5000),
        ];
        assert_eq!(slowest(&buckets, &slow_short).unwrap().name, "p50");
        let slow_long = [sample(90, 410, 3000), sample(4100, 480, 5000)];
        let lengths = slowest(&buckets, &slow_long).unwrap().lengths("mine");
        assert_eq!((lengths.input_len, lengths.output_len), (4000, 500));
        assert_eq!(slowest(&buckets, &[]).unwrap().name, "p95");
        assert!(slowest(&[], &[]).is_none());
    }
}
