//! Throughput while the engine was full: without ramp and drain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bench::load::Sample;

/// Share of the peak concurrency that counts as full.
const FULL: f64 = 0.9;

/// The window of full load and the output in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SteadyState {
    /// Output tokens/s inside the window.
    pub steady_state_output_tps: f64,
    /// Length of the window in seconds.
    pub window_s: f64,
    /// Most requests in flight at once.
    pub peak_concurrency: usize,
}

/// Finds the window from the first to the last moment at which at least 90%
/// of the peak number of requests were in flight, and counts the tokens that
/// arrived in it. `None` when that is no span of time.
pub fn steady_state(samples: &[Sample]) -> Option<SteadyState> {
    let (from, to, peak) = window(samples)?;
    let tokens: f64 = samples
        .iter()
        .map(|sample| tokens_between(sample, from, to))
        .sum();
    let window_s = (to - from) as f64 / 1e9;
    (to > from && tokens > 0.0).then(|| SteadyState {
        steady_state_output_tps: tokens / window_s,
        window_s,
        peak_concurrency: peak,
    })
}

fn window(samples: &[Sample]) -> Option<(u64, u64, usize)> {
    let mut steps: Vec<(u64, i64)> = samples
        .iter()
        .filter_map(|sample| Some((sample.sent_ns, sample.sent_ns + sample.end_ns?)))
        .flat_map(|(sent, end)| [(sent, 1), (end, -1)])
        .collect();
    // At one instant, ends come before starts.
    steps.sort_unstable();
    let mut in_flight = 0;
    let levels: Vec<(u64, i64)> = steps
        .into_iter()
        .map(|(at, step)| {
            in_flight += step;
            (at, in_flight)
        })
        .collect();
    let peak = levels.iter().map(|(_, level)| *level).max()?;
    let full = (peak as f64 * FULL).ceil() as i64;
    let first = levels.iter().position(|(_, level)| *level >= full)?;
    let last = levels.iter().rposition(|(_, level)| *level >= full)?;
    let (from, _) = levels.get(first)?;
    let (to, _) = levels.get(last + 1)?;
    Some((*from, *to, usize::try_from(peak).ok()?))
}

/// Tokens of one request that arrived in (from, to]. Where the engine does
/// not say what a chunk holds, its tokens are spread evenly over its chunks.
fn tokens_between(sample: &Sample, from: u64, to: u64) -> f64 {
    if !sample.is_ok() || sample.chunk_ns.is_empty() {
        return 0.0;
    }
    let each = sample.output_tokens.unwrap_or(0) as f64 / sample.chunk_ns.len() as f64;
    sample
        .chunk_ns
        .iter()
        .enumerate()
        .filter(|(_, at)| (from + 1..=to).contains(&(sample.sent_ns + **at)))
        .map(|(i, _)| {
            sample
                .chunk_tokens
                .as_ref()
                .and_then(|tokens| tokens.get(i))
                .map_or(each, |tokens| f64::from(*tokens))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sent_ns: u64, chunk_ns: Vec<u64>, tokens: Option<Vec<u32>>) -> Sample {
        Sample {
            sent_ns,
            end_ns: chunk_ns.last().copied(),
            output_tokens: Some(match &tokens {
                Some(tokens) => tokens.iter().map(|count| u64::from(*count)).sum(),
                None => 2 * chunk_ns.len() as u64,
            }),
            chunk_ns,
            chunk_tokens: tokens,
            ..Sample::default()
        }
    }

    #[test]
    fn ramp_and_drain_are_left_out() {
        const S: u64 = 1_000_000_000;
        // In flight: one from 0, two from 1 s to 3 s, one until 5 s.
        let samples = [
            sample(0, vec![S / 2, S, 2 * S, 3 * S], Some(vec![1, 1, 3, 2])),
            sample(S, vec![S, 2 * S, 3 * S, 4 * S], Some(vec![4, 1, 1, 1])),
        ];
        // In (1 s, 3 s]: 3 + 2 of the first, 4 + 1 of the second.
        let expected = SteadyState {
            steady_state_output_tps: 5.0,
            window_s: 2.0,
            peak_concurrency: 2,
        };
        assert_eq!(steady_state(&samples), Some(expected));
    }

    #[test]
    fn unknown_tokens_are_spread_evenly() {
        let samples = [sample(0, vec![1_000_000_000, 2_000_000_000], None)];
        assert_eq!(
            steady_state(&samples).map(|steady| steady.steady_state_output_tps),
            Some(2.0)
        );
    }

    #[test]
    fn nothing_in_flight_has_no_steady_state() {
        assert_eq!(steady_state(&[]), None);
        assert_eq!(steady_state(&[Sample::default()]), None);
    }
}
