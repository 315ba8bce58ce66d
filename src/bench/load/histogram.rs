//! A histogram that many threads fill without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buckets of each power of two: neighbours differ by at most 1/16.
const PER_OCTAVE: u64 = 16;
/// Values up to 2^36 microseconds, which is 19 hours.
const BUCKETS: usize = 36 * PER_OCTAVE as usize;

/// Counts by value; buckets widen with the value, as in HdrHistogram, so that
/// a quantile is at most 6.25% above the truth.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
}

/// Quantiles of values in microseconds, each at most 6.25% above the truth.
/// They are for watching; rows hold exact ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Histogram {
    pub(super) fn add(&self, value: u64, count: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(value)) {
            bucket.fetch_add(count, Relaxed);
        }
    }

    /// None without a value.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Relaxed))
            .collect();
        let count: u64 = counts.iter().sum();
        let at = |percent: u64| {
            let rank = (count * percent).div_ceil(100).max(1);
            let mut seen = 0;
            let bucket = counts.iter().position(|bucket| {
                seen += bucket;
                seen >= rank
            });
            most_of(bucket.unwrap_or_default())
        };
        (count > 0).then(|| Quantiles {
            count,
            p50: at(50),
            p90: at(90),
            p99: at(99),
        })
    }
}

fn bucket_of(value: u64) -> usize {
    if value < PER_OCTAVE {
        return value as usize;
    }
    let octave = u64::from(value.ilog2()) - u64::from(PER_OCTAVE.ilog2());
    let within = (value >> octave) - PER_OCTAVE;
    (((octave + 1) * PER_OCTAVE + within) as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn most_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PER_OCTAVE {
        return bucket;
    }
    let octave = bucket / PER_OCTAVE - 1;
    ((bucket % PER_OCTAVE + PER_OCTAVE + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..5_000).chain([1 << 20, (1 << 30) + 12_345]) {
            let most = most_of(bucket_of(value));
            assert!(most >= value, "{value} {most}");
            assert!(
                most as f64 <= value as f64 * 1.0625 + 1e-9,
                "{value} {most}"
            );
            assert!(bucket_of(most + 1) > bucket_of(value));
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), None);
        histogram.add(10, 90);
        histogram.add(1_000, 9);
        histogram.add(u64::MAX, 1);
        let quantiles = histogram.quantiles().unwrap();
        assert_eq!(
            (quantiles.count, quantiles.p50, quantiles.p90),
            (100, 10, 10)
        );
        assert_eq!(quantiles.p99, 1_023);
    }
}
