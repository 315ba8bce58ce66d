//! Latencies of single requests, in milliseconds.

use crate::bench::load::Sample;

const NS_PER_MS: f64 = 1e6;

/// From sent to the first token.
pub fn ttft_ms(sample: &Sample) -> Option<f64> {
    Some(sample.first_token_ns? as f64 / NS_PER_MS)
}

/// From sent to the last chunk of the answer.
pub fn e2e_ms(sample: &Sample) -> Option<f64> {
    Some(sample.end_ns? as f64 / NS_PER_MS)
}

/// From due to the last chunk of the answer.
pub(super) fn e2e_from_schedule_ms(sample: &Sample) -> Option<f64> {
    let waited = sample.sent_ns.saturating_sub(sample.due_ns);
    Some((waited + sample.end_ns?) as f64 / NS_PER_MS)
}

/// Time per output token after the first chunk: (E2E − TTFT) / (n − k), where
/// k tokens came with the first chunk. Undefined when no token came later.
pub fn tpot_ms(sample: &Sample) -> Option<f64> {
    let later = sample
        .output_tokens?
        .checked_sub(sample.first_chunk_tokens())
        .filter(|later| *later > 0)?;
    Some((e2e_ms(sample)? - ttft_ms(sample)?) / later as f64)
}

/// Gaps between successive chunks that carry tokens.
pub(super) fn chunk_gaps_ms(sample: &Sample) -> impl Iterator<Item = f64> + '_ {
    sample
        .chunk_ns
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]) as f64 / NS_PER_MS)
}

/// Gaps between successive tokens: a chunk of k tokens counts k times with
/// the k-th part of its gap. Where the engine does not say how many tokens a
/// chunk holds, each chunk counts once.
pub(super) fn token_gaps_ms(sample: &Sample) -> impl Iterator<Item = f64> + '_ {
    let tokens = sample.chunk_tokens.as_deref();
    chunk_gaps_ms(sample).enumerate().flat_map(move |(i, gap)| {
        let count = tokens
            .and_then(|tokens| tokens.get(i + 1))
            .map_or(1, |count| (*count).max(1));
        std::iter::repeat_n(gap / f64::from(count), count as usize)
    })
}
