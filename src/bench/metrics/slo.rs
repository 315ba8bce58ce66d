//! Service-level objectives: whether they are met, and how sure that is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;
use super::latency::{e2e_ms, tpot_ms, ttft_ms};
use crate::bench::load::Sample;

/// Name of the limit on successes.
const SUCCESS_RATE: &str = "min_success_rate";

/// Limits on a run. Those on percentiles are named after the percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloLimits {
    /// Most median time to first token, in milliseconds.
    #[serde(default)]
    pub max_p50_ttft_ms: Option<f64>,
    /// Most median time per output token, in milliseconds.
    #[serde(default)]
    pub max_p50_tpot_ms: Option<f64>,
    /// Most time to first token at the 99th percentile, in milliseconds.
    #[serde(default)]
    pub max_p99_ttft_ms: Option<f64>,
    /// Most time per output token at the 99th percentile, in milliseconds.
    #[serde(default)]
    pub max_p99_tpot_ms: Option<f64>,
    /// Least share of requests that succeed, from 0 to 1.
    #[serde(default)]
    pub min_success_rate: Option<f64>,
}

/// Whether an objective is met beyond chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is on the good side.
    Pass,
    /// The whole interval is on the bad side.
    Fail,
    /// The interval holds the wanted share: more requests would decide.
    Undecided,
}

/// How many requests met one limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attainment {
    /// The limit's name, for example `max_p99_ttft_ms`.
    pub limit: String,
    /// Its value: milliseconds, or a share for `min_success_rate`.
    pub value: f64,
    /// The measured statistic that the limit is about.
    pub measured: Option<f64>,
    /// Whether the measured statistic keeps the limit.
    pub met: bool,
    /// Share of requests that must meet it: 0.5 for a limit on the median.
    pub wanted_share: f64,
    /// Share of requests that met it; a failed request never does.
    pub share: f64,
    /// 95% Wilson interval of that share.
    pub interval: [f64; 2],
    pub verdict: Verdict,
}

/// The outcome of all limits of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SloOutcome {
    /// Whether every measured statistic keeps its limit.
    pub passed: bool,
    /// Whether every verdict is beyond chance.
    pub slo_resolved: bool,
    /// Share of requests that met every per-request limit.
    pub slo_attainment: f64,
    pub attainment: Vec<Attainment>,
}

/// The 95% score interval of a share of `met` out of `count` (Wilson, 1927).
/// The whole of [0, 1] when nothing was counted.
pub fn wilson_interval(met: usize, count: usize) -> [f64; 2] {
    if count == 0 {
        return [0.0, 1.0];
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = count as f64;
    let share = met as f64 / n;
    let shrink = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the formula is exact, rounding is not.
    let low = if met == 0 {
        0.0
    } else {
        (centre - half).max(0.0)
    };
    let high = if met == count {
        1.0
    } else {
        (centre + half).min(1.0)
    };
    [low, high]
}

type Latency = fn(&Sample) -> Option<f64>;

impl SloLimits {
    /// Whether there is any limit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn on_latency(&self) -> impl Iterator<Item = (&'static str, f64, f64, Latency)> {
        [
            (
                "max_p50_ttft_ms",
                self.max_p50_ttft_ms,
                50.0,
                ttft_ms as Latency,
            ),
            ("max_p50_tpot_ms", self.max_p50_tpot_ms, 50.0, tpot_ms),
            ("max_p99_ttft_ms", self.max_p99_ttft_ms, 99.0, ttft_ms),
            ("max_p99_tpot_ms", self.max_p99_tpot_ms, 99.0, tpot_ms),
        ]
        .into_iter()
        .filter_map(|(name, limit, percent, latency)| Some((name, limit?, percent, latency)))
    }

    /// Whether one request is good: it succeeded, and keeps the limit on the
    /// 99th percentile where there is one, else that on the median. A request
    /// of a single chunk has no time per output token and keeps any limit on it.
    pub(super) fn is_good(&self, sample: &Sample) -> bool {
        let keeps = |limit: Option<f64>, value: Option<f64>, if_absent: bool| {
            limit.is_none_or(|limit| value.map_or(if_absent, |value| value <= limit))
        };
        sample.is_ok()
            && e2e_ms(sample).is_some()
            && keeps(
                self.max_p99_ttft_ms.or(self.max_p50_ttft_ms),
                ttft_ms(sample),
                false,
            )
            && keeps(
                self.max_p99_tpot_ms.or(self.max_p50_tpot_ms),
                tpot_ms(sample),
                true,
            )
    }

    /// Holds the samples against the limits; `None` without a limit or a sample.
    pub(super) fn check(&self, samples: &[Sample]) -> Option<SloOutcome> {
        if self.is_empty() || samples.is_empty() {
            return None;
        }
        let mut attainment: Vec<Attainment> = self
            .on_latency()
            .map(|(name, limit, percent, latency)| {
                latency_attainment(samples, name, limit, percent, latency)
            })
            .collect();
        attainment.extend(
            self.min_success_rate
                .map(|least| success_attainment(samples, least)),
        );
        let good = samples.iter().filter(|sample| self.is_good(sample)).count();
        Some(SloOutcome {
            passed: attainment.iter().all(|one| one.met),
            slo_resolved: attainment
                .iter()
                // 80 of 80 prove a success rate of 95.4% and never 99%: a run
                // without a failure leaves nothing open.
                .filter(|one| one.limit != SUCCESS_RATE || one.share < 1.0)
                .all(|one| one.verdict != Verdict::Undecided),
            slo_attainment: good as f64 / samples.len() as f64,
            attainment,
        })
    }
}

fn latency_attainment(
    samples: &[Sample],
    name: &str,
    limit: f64,
    percent: f64,
    latency: Latency,
) -> Attainment {
    let measured = Distribution::new(
        samples
            .iter()
            .filter(|sample| sample.is_ok())
            .filter_map(latency),
    )
    .percentile(percent);
    // A successful request without the latency (one token has no TPOT) says nothing.
    let counted: Vec<bool> = samples
        .iter()
        .filter_map(|sample| match latency(sample) {
            _ if !sample.is_ok() => Some(false),
            value => Some(value? <= limit),
        })
        .collect();
    let met = counted.iter().filter(|met| **met).count();
    attainment(
        name,
        limit,
        measured,
        measured.is_some_and(|value| value <= limit),
        percent / 100.0,
        met,
        counted.len(),
    )
}

fn success_attainment(samples: &[Sample], least: f64) -> Attainment {
    let met = samples.iter().filter(|sample| sample.is_ok()).count();
    let rate = met as f64 / samples.len() as f64;
    attainment(
        SUCCESS_RATE,
        least,
        Some(rate),
        rate >= least,
        least,
        met,
        samples.len(),
    )
}

fn attainment(
    limit: &str,
    value: f64,
    measured: Option<f64>,
    met: bool,
    wanted_share: f64,
    good: usize,
    count: usize,
) -> Attainment {
    let interval = wilson_interval(good, count);
    let verdict = if interval[0] >= wanted_share {
        Verdict::Pass
    } else if interval[1] < wanted_share {
        Verdict::Fail
    } else {
        Verdict::Undecided
    };
    Attainment {
        limit: limit.to_owned(),
        value,
        measured,
        met,
        wanted_share,
        share: if count == 0 {
            0.0
        } else {
            good as f64 / count as f64
        },
        interval,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::{ErrorClass, RequestError};

    fn samples(ttfts_ms: &[u64]) -> Vec<Sample> {
        ttfts_ms
            .iter()
            .map(|ms| Sample {
                first_token_ns: Some(ms * 1_000_000),
                end_ns: Some(ms * 1_000_000),
                output_tokens: Some(1),
                ..Sample::default()
            })
            .collect()
    }

    fn p99(limit: f64) -> SloLimits {
        SloLimits {
            max_p99_ttft_ms: Some(limit),
            ..SloLimits::default()
        }
    }

    /// Without a hit or a miss the interval is z²/(n + z²) wide: 3.8415/13.8415.
    #[test]
    fn wilson_intervals() {
        let near = |interval: [f64; 2], expected: [f64; 2]| {
            assert!((interval[0] - expected[0]).abs() < 5e-5, "{interval:?}");
            assert!((interval[1] - expected[1]).abs() < 5e-5, "{interval:?}");
        };
        near(wilson_interval(8, 10), [0.4902, 0.9433]);
        near(wilson_interval(0, 10), [0.0, 0.2775]);
        near(wilson_interval(10, 10), [0.7225, 1.0]);
        near(wilson_interval(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn a_limit_kept_by_every_request_takes_many_to_be_sure_of() {
        let verdict = |count| {
            let slo = p99(10.0).check(&samples(&vec![5; count])).unwrap();
            assert!(slo.passed);
            slo.attainment[0].verdict
        };
        // z² · 0.99 / 0.01 = 380.3 requests without a miss prove a share of 99%.
        assert_eq!(verdict(380), Verdict::Undecided);
        assert_eq!(verdict(381), Verdict::Pass);
    }

    #[test]
    fn a_limit_broken_by_half_fails() {
        let slo = p99(10.0).check(&samples(&[5, 50].repeat(20))).unwrap();
        assert_eq!(slo.attainment[0].verdict, Verdict::Fail);
        assert_eq!(slo.attainment[0].measured, Some(50.0));
        assert_eq!((slo.passed, slo.slo_resolved), (false, true));
        assert_eq!(slo.slo_attainment, 0.5);
    }

    #[test]
    fn a_single_token_keeps_any_tpot_limit_and_a_failure_none() {
        let mut both = samples(&[5, 5]);
        both[1].error = Some(RequestError {
            class: ErrorClass::Timeout,
            message: String::new(),
        });
        let limits = SloLimits {
            max_p50_tpot_ms: Some(1.0),
            ..SloLimits::default()
        };
        assert!(limits.is_good(&both[0]));
        assert!(!limits.is_good(&both[1]));
        // Only the failure says anything of the time per token.
        let slo = limits.check(&both).unwrap();
        assert_eq!(slo.attainment[0].share, 0.0);
        assert!(!slo.passed);
    }

    #[test]
    fn without_limits_or_samples_nothing_is_checked() {
        assert_eq!(SloLimits::default().check(&samples(&[1])), None);
        assert_eq!(p99(1.0).check(&[]), None);
    }
}
