//! Log-ratios of pairs: mean, interval, and the number of repeats that decides.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::student::two_sided_quantile;
use super::{CONFIDENCE, MAX_REPEATS, margin};

/// Seed of the bootstrap: the same pairs always give the same interval.
const BOOTSTRAP_SEED: u64 = 1;
/// Resamples of the bootstrap for up to some hundred pairs.
const RESAMPLES: usize = 1_000;
/// Bound on the bootstrap's work in drawn pairs; more pairs get fewer resamples.
const MAX_DRAWS: usize = 200_000;

/// Sample mean and spread of log-ratios.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub n: u32,
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); absent under two.
    pub spread: Option<f64>,
}

impl Sample {
    /// Mean and spread; nothing for no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let spread = (values.len() > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1.0)).sqrt()
        });
        Some(Self {
            n: values.len() as u32,
            mean,
            spread,
        })
    }

    /// The Student-t interval of the mean; absent under two values.
    pub fn interval(&self) -> Option<[f64; 2]> {
        let half = half_width(self.spread?, self.n);
        Some([self.mean - half, self.mean + half])
    }

    /// The fewest repeats in total at which the same mean and spread would
    /// decide, or [`MAX_REPEATS`] where none up to there would.
    pub fn repeats_to_decide(&self) -> u32 {
        let Some(spread) = self.spread else {
            // One pair says nothing about the spread; three give a first interval.
            return 3;
        };
        (self.n + 1..=MAX_REPEATS)
            .find(|n| self.decided_at(spread, *n))
            .unwrap_or(MAX_REPEATS)
    }

    /// Whether ten repeats at this mean and spread would decide.
    pub fn decides_within_cap(&self) -> bool {
        self.spread
            .is_none_or(|spread| (self.n..=MAX_REPEATS).any(|n| self.decided_at(spread, n)))
    }

    fn decided_at(&self, spread: f64, n: u32) -> bool {
        let half = half_width(spread, n);
        let (low, high) = (self.mean - half, self.mean + half);
        low > margin() || high < -margin() || (low >= -margin() && high <= margin())
    }
}

/// Half the width of the 95% Student-t interval of a mean of `n` values with
/// sample standard deviation `spread`: t(n − 1) · spread / √n.
pub fn half_width(spread: f64, n: u32) -> f64 {
    two_sided_quantile(CONFIDENCE, n.saturating_sub(1).max(1)) * spread / f64::from(n.max(1)).sqrt()
}

/// The percentile-bootstrap interval of the mean (Efron and Tibshirani, *An
/// Introduction to the Bootstrap*, chapter 13); absent under two values.
pub fn bootstrap(values: &[f64]) -> Option<[f64; 2]> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(BOOTSTRAP_SEED);
    let resamples = (MAX_DRAWS / n).clamp(100, RESAMPLES);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let sum: f64 = (0..n)
                .map(|_| {
                    // The high half of a 32 by 32 bit product is uniform in 0..n
                    // but for a bias under n / 2³².
                    let index = (u64::from(random.next_u32()) * n as u64) >> 32;
                    values.get(index as usize).copied().unwrap_or_default()
                })
                .sum();
            sum / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some([quantile(&means, tail), quantile(&means, 1.0 - tail)])
}

/// Linear interpolation between order statistics of a sorted, non-empty slice.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let low = sorted.get(below).copied().unwrap_or_default();
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * (at - below as f64)
}
