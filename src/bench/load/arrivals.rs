//! The schedule: when each request is due, fixed before the first is sent.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, Gamma};

use super::{Arrivals, LoadError};

/// Due times of `count` requests, from the start of the run.
///
/// Gaps are drawn from a gamma distribution of shape `burstiness` and mean
/// 1/rate, summed, and scaled so that the last request is due at exactly
/// count/rate: the offered rate is the asked one whatever the draw. The same
/// construction as `vllm bench serve`. The times are absolute, so lateness
/// of one request never adds to the next.
pub fn schedule(arrivals: &Arrivals, count: usize, seed: u64) -> Result<Vec<Duration>, LoadError> {
    let Some(rate) = arrivals.rate.filter(|rate| *rate != f64::INFINITY) else {
        return Ok(vec![Duration::ZERO; count]);
    };
    if !(rate.is_finite() && rate > 0.0) {
        return Err(LoadError::BadRate { rate });
    }
    let total = count as f64 / rate;
    let mut times = cumulative_gaps(arrivals.burstiness, count, seed)?;
    let scale = times.last().map_or(0.0, |last| total / last);
    for time in &mut times {
        *time *= scale;
    }
    times
        .into_iter()
        .map(|time| Duration::try_from_secs_f64(time).map_err(|_| LoadError::BadRate { rate }))
        .collect()
}

/// Sums of gaps of mean 1.
fn cumulative_gaps(burstiness: f64, count: usize, seed: u64) -> Result<Vec<f64>, LoadError> {
    if burstiness == f64::INFINITY {
        return Ok((1..=count).map(|i| i as f64).collect());
    }
    let bad = |_| LoadError::BadBurstiness { burstiness };
    let gaps = Gamma::new(burstiness, 1.0 / burstiness).map_err(bad)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut now = 0.0;
    Ok((0..count)
        .map(|_| {
            now += gaps.sample(&mut rng);
            now
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(arrivals: &Arrivals, count: usize, seed: u64) -> Vec<f64> {
        schedule(arrivals, count, seed)
            .unwrap()
            .iter()
            .map(Duration::as_secs_f64)
            .collect()
    }

    /// Squared coefficient of variation of the gaps: 1/burstiness in theory.
    fn variation(times: &[f64]) -> f64 {
        let gaps: Vec<f64> = std::iter::once(times[0])
            .chain(times.windows(2).map(|w| w[1] - w[0]))
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        variance / mean.powi(2)
    }

    #[test]
    fn without_a_rate_all_are_due_at_once() {
        assert_eq!(seconds(&Arrivals::AT_ONCE, 3, 1), [0.0; 3]);
        let infinite = Arrivals {
            rate: Some(f64::INFINITY),
            burstiness: 1.0,
        };
        assert_eq!(seconds(&infinite, 3, 1), [0.0; 3]);
    }

    #[test]
    fn a_constant_rate_has_equal_gaps() {
        assert_eq!(
            seconds(&Arrivals::constant(4.0), 4, 9),
            [0.25, 0.5, 0.75, 1.0]
        );
    }

    #[test]
    fn poisson_ends_at_count_over_rate_and_has_exponential_gaps() {
        let times = seconds(&Arrivals::poisson(50.0), 10_000, 3);
        assert_eq!(*times.last().unwrap(), 200.0);
        assert!(times.windows(2).all(|w| w[0] <= w[1]));
        assert!((variation(&times) - 1.0).abs() < 0.05);
    }

    #[test]
    fn burstiness_is_the_inverse_of_the_gaps_variation() {
        for burstiness in [0.25, 4.0] {
            let arrivals = Arrivals {
                rate: Some(10.0),
                burstiness,
            };
            let times = seconds(&arrivals, 20_000, 5);
            assert!((variation(&times) * burstiness - 1.0).abs() < 0.1);
            assert_eq!(*times.last().unwrap(), 2000.0);
        }
    }

    #[test]
    fn the_seed_fixes_the_schedule() {
        let arrivals = Arrivals::poisson(7.0);
        assert_eq!(seconds(&arrivals, 50, 1), seconds(&arrivals, 50, 1));
        assert_ne!(seconds(&arrivals, 50, 1), seconds(&arrivals, 50, 2));
        let first: Vec<u64> = schedule(&arrivals, 3, 1)
            .unwrap()
            .iter()
            .map(|due| due.as_millis() as u64)
            .collect();
        assert_eq!(first, PINNED_MS);
    }

    /// A change here changes every seeded run: it needs a new major version.
    const PINNED_MS: [u64; 3] = [105, 142, 428];

    #[test]
    fn refuses_rates_and_shapes_that_mean_nothing() {
        for rate in [0.0, -1.0, f64::NAN] {
            let error = schedule(&Arrivals::poisson(rate), 1, 0).unwrap_err();
            assert!(matches!(error, LoadError::BadRate { .. }), "{error}");
        }
        for burstiness in [0.0, -1.0, f64::NAN] {
            let arrivals = Arrivals {
                rate: Some(1.0),
                burstiness,
            };
            let error = schedule(&arrivals, 1, 0).unwrap_err();
            assert!(matches!(error, LoadError::BadBurstiness { .. }), "{error}");
        }
    }
}
