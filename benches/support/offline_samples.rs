//! What the load generator would have recorded of an offline run.

use sota_loop::bench::load::Sample;
use sota_loop::sim::{Ask, OfflineRun};

/// One sample a request, in the order of `asks`.
pub fn samples(run: &OfflineRun, asks: &[Ask]) -> Vec<Sample> {
    run.requests
        .iter()
        .zip(asks)
        .enumerate()
        .map(|(index, (served, ask))| {
            let chunk_ns: Vec<u64> = served
                .chunks
                .iter()
                .map(|(at, _)| at - served.sent)
                .collect();
            Sample {
                index,
                sent_ns: served.sent,
                first_token_ns: chunk_ns.first().copied(),
                end_ns: chunk_ns.last().copied(),
                chunk_tokens: Some(served.chunks.iter().map(|(_, tokens)| *tokens).collect()),
                chunk_ns,
                sent_prompt_tokens: Some(ask.prompt_tokens),
                output_tokens: Some(ask.output_tokens.into()),
                ..Sample::default()
            }
        })
        .collect()
}
