//! One run's samples as the metrics of a benchmark row.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::latency::{
    chunk_gaps_ms, e2e_from_schedule_ms, e2e_ms, token_gaps_ms, tpot_ms, ttft_ms,
};
use super::{ClientHealth, Distribution, SloLimits, SloOutcome, SteadyState, steady_state};
use crate::bench::load::{ErrorClass, LoadOutcome, Sample, TokenCountSource, TtftRule};
use crate::http::PoolCounts;

/// Everything that a run's samples say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// The row's `metrics` object.
    pub row: RowMetrics,
    pub extras: MetricExtras,
    /// Absent when there is no limit.
    pub slo: Option<SloOutcome>,
}

/// The metrics of the published row layout. Latencies are of successful
/// requests; throughputs are over the span from the first request sent to
/// the end of the last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowMetrics {
    /// Successful requests/s.
    pub request_throughput: Option<f64>,
    /// Output tokens/s of successful requests.
    pub output_token_throughput: Option<f64>,
    /// Prompt and output tokens/s of successful requests.
    pub total_token_throughput: Option<f64>,
    pub p50_ttft_ms: Option<f64>,
    pub mean_ttft_ms: Option<f64>,
    pub p99_ttft_ms: Option<f64>,
    pub p50_tpot_ms: Option<f64>,
    pub mean_tpot_ms: Option<f64>,
    pub p99_tpot_ms: Option<f64>,
    pub p50_itl_ms: Option<f64>,
    pub mean_itl_ms: Option<f64>,
    pub p99_itl_ms: Option<f64>,
    pub p50_e2e_ms: Option<f64>,
    pub mean_e2e_ms: Option<f64>,
    pub p99_e2e_ms: Option<f64>,
    /// Successful requests of all, from 0 to 1.
    pub success_rate: Option<f64>,
    /// Energy of the GPUs over the run, per output token; absent without NVML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joules_per_output_token: Option<f64>,
}

/// Token counts of a run's successful requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenLengths {
    pub total: u64,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
}

/// What the row's metrics rest on, and what they leave out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricExtras {
    /// Span of the throughputs, in seconds.
    pub duration_s: Option<f64>,
    pub requests: usize,
    pub completed: usize,
    /// The least trustworthy source of any successful request.
    pub token_count_source: Option<TokenCountSource>,
    /// The least exact rule of any successful request.
    pub ttft_rule: Option<TtftRule>,
    /// Whether every gap in the inter-token latencies is one token's; otherwise they are gaps between chunks.
    pub itl_is_per_token: bool,
    /// Chunks that carry tokens, per output token; below 1 the engine sends several tokens a chunk.
    pub chunks_per_token_mean: Option<f64>,
    /// Gaps between chunks, whatever they hold.
    pub p50_inter_chunk_ms: Option<f64>,
    pub p99_inter_chunk_ms: Option<f64>,
    /// Prompt tokens as the engine counts them.
    pub prompt_tokens_server: Option<TokenLengths>,
    pub output_tokens: Option<TokenLengths>,
    /// Share of prompt tokens that came from the prefix cache, where the engine says so.
    pub prefix_cache_hit_rate: Option<f64>,
    /// Whether requests waited for others to end instead of following a
    /// schedule; latencies from the schedule then mean nothing and are absent.
    pub closed_loop: bool,
    pub e2e_from_schedule_mean_ms: Option<f64>,
    pub e2e_from_schedule_p99_ms: Option<f64>,
    /// Wait for the concurrency cap (p99, ms); absent without a cap.
    pub cap_wait_p99_ms: Option<f64>,
    pub steady_state: Option<SteadyState>,
    /// Good requests/s, see [`SloLimits`]; absent without a latency limit.
    pub goodput_rps: Option<f64>,
    pub finish_reasons: BTreeMap<String, usize>,
    pub error_classes: BTreeMap<ErrorClass, usize>,
    /// The first failure's words.
    pub first_error: Option<String>,
    pub reused_connections: u64,
    pub connections: PoolCounts,
    pub client: ClientHealth,
}

/// Computes every metric of a run from its raw samples.
pub fn summarize(outcome: &LoadOutcome, limits: &SloLimits) -> Metrics {
    let samples = &outcome.samples;
    let ok: Vec<&Sample> = samples.iter().filter(|sample| sample.is_ok()).collect();
    let duration_s = duration_s(samples);
    Metrics {
        row: row(samples, &ok, duration_s),
        extras: extras(outcome, limits, &ok, duration_s),
        slo: limits.check(samples),
    }
}

/// From the first request sent to the end of the last answer. What an engine
/// keeps open after it, the usage chunk and `[DONE]`, is no part; a failed
/// request ends when it was given up.
fn duration_s(samples: &[Sample]) -> Option<f64> {
    let first = samples.iter().map(|sample| sample.sent_ns).min()?;
    let last = samples
        .iter()
        .map(|sample| sample.sent_ns + answered_ns(sample))
        .max()?;
    (last > first).then(|| (last - first) as f64 / 1e9)
}

fn answered_ns(sample: &Sample) -> u64 {
    let end = sample.end_ns.filter(|_| sample.is_ok());
    end.unwrap_or(sample.finished_ns)
}

fn row(samples: &[Sample], ok: &[&Sample], duration_s: Option<f64>) -> RowMetrics {
    let over = |latency: fn(&Sample) -> Option<f64>| {
        Distribution::new(ok.iter().filter_map(|sample| latency(sample)))
    };
    let (ttft, tpot, e2e) = (over(ttft_ms), over(tpot_ms), over(e2e_ms));
    let itl = Distribution::new(ok.iter().flat_map(|sample| token_gaps_ms(sample)));
    let per_second = |count: Option<u64>| Some(count? as f64 / duration_s?);
    let output = total(ok, |sample| sample.output_tokens);
    let prompt = total(ok, Sample::prompt_len);
    let both = output.zip(prompt).map(|(output, prompt)| output + prompt);
    RowMetrics {
        request_throughput: per_second((!ok.is_empty()).then_some(ok.len() as u64)),
        output_token_throughput: per_second(output),
        total_token_throughput: per_second(both),
        p50_ttft_ms: ttft.percentile(50.0),
        mean_ttft_ms: ttft.mean(),
        p99_ttft_ms: ttft.percentile(99.0),
        p50_tpot_ms: tpot.percentile(50.0),
        mean_tpot_ms: tpot.mean(),
        p99_tpot_ms: tpot.percentile(99.0),
        p50_itl_ms: itl.percentile(50.0),
        mean_itl_ms: itl.mean(),
        p99_itl_ms: itl.percentile(99.0),
        p50_e2e_ms: e2e.percentile(50.0),
        mean_e2e_ms: e2e.mean(),
        p99_e2e_ms: e2e.percentile(99.0),
        success_rate: (!samples.is_empty()).then(|| ok.len() as f64 / samples.len() as f64),
        joules_per_output_token: None,
    }
}

/// The sum over all; `None` when it is unknown for one, or there is none.
fn total(ok: &[&Sample], count: fn(&Sample) -> Option<u64>) -> Option<u64> {
    if ok.is_empty() {
        return None;
    }
    ok.iter().map(|sample| count(sample)).sum()
}

fn lengths(ok: &[&Sample], count: fn(&Sample) -> Option<u64>) -> Option<TokenLengths> {
    let counts: Vec<u64> = ok.iter().filter_map(|sample| count(sample)).collect();
    let spread = Distribution::new(counts.iter().map(|count| *count as f64));
    (!counts.is_empty()).then(|| TokenLengths {
        total: counts.iter().sum(),
        p50: spread.percentile(50.0),
        p95: spread.percentile(95.0),
    })
}

fn extras(
    outcome: &LoadOutcome,
    limits: &SloLimits,
    ok: &[&Sample],
    duration_s: Option<f64>,
) -> MetricExtras {
    let gaps = Distribution::new(ok.iter().flat_map(|sample| chunk_gaps_ms(sample)));
    let open_loop = outcome.request_rate.is_some();
    let from_schedule = Distribution::new(
        ok.iter()
            .filter(|_| open_loop)
            .filter_map(|sample| e2e_from_schedule_ms(sample)),
    );
    let cap_wait = Distribution::new(
        outcome
            .samples
            .iter()
            .filter(|_| outcome.max_concurrency.is_some())
            .map(|sample| sample.released_ns.saturating_sub(sample.woke_ns) as f64 / 1e6),
    );
    let has_latency_limit = limits
        != &SloLimits {
            min_success_rate: limits.min_success_rate,
            ..SloLimits::default()
        };
    let good = ok.iter().filter(|sample| limits.is_good(sample)).count();
    MetricExtras {
        duration_s,
        requests: outcome.samples.len(),
        completed: ok.len(),
        token_count_source: ok.iter().filter_map(|s| s.token_count_source).max(),
        ttft_rule: ok.iter().filter_map(|s| s.ttft_rule).max(),
        itl_is_per_token: ok.iter().all(|s| s.chunk_tokens.is_some()),
        chunks_per_token_mean: chunks_per_token(ok),
        p50_inter_chunk_ms: gaps.percentile(50.0),
        p99_inter_chunk_ms: gaps.percentile(99.0),
        prompt_tokens_server: lengths(ok, |sample| sample.prompt_tokens),
        output_tokens: lengths(ok, |sample| sample.output_tokens),
        prefix_cache_hit_rate: prefix_cache_hit_rate(ok),
        closed_loop: !open_loop,
        e2e_from_schedule_mean_ms: from_schedule.mean(),
        e2e_from_schedule_p99_ms: from_schedule.percentile(99.0),
        cap_wait_p99_ms: cap_wait.percentile(99.0),
        steady_state: steady_state(&outcome.samples),
        goodput_rps: duration_s
            .filter(|_| has_latency_limit)
            .map(|duration| good as f64 / duration),
        finish_reasons: counted(ok.iter().map(|sample| {
            let reason = sample.finish_reason.as_deref();
            reason.unwrap_or("none").to_owned()
        })),
        error_classes: counted(errors(outcome).map(|error| error.class)),
        first_error: errors(outcome).next().map(|error| error.message.clone()),
        reused_connections: outcome.connections.reused,
        connections: outcome.connections,
        client: ClientHealth::of(outcome),
    }
}

fn errors(outcome: &LoadOutcome) -> impl Iterator<Item = &crate::bench::load::RequestError> {
    outcome
        .samples
        .iter()
        .filter_map(|sample| sample.error.as_ref())
}

fn counted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

fn chunks_per_token(ok: &[&Sample]) -> Option<f64> {
    let tokens = total(ok, |sample| sample.output_tokens).filter(|tokens| *tokens > 0)?;
    let chunks: usize = ok.iter().map(|sample| sample.chunk_ns.len()).sum();
    Some(chunks as f64 / tokens as f64)
}

fn prefix_cache_hit_rate(ok: &[&Sample]) -> Option<f64> {
    let counts: Vec<(u64, u64)> = ok
        .iter()
        .filter_map(|sample| sample.cached_tokens.zip(sample.prompt_tokens))
        .collect();
    let prompt: u64 = counts.iter().map(|(_, prompt)| prompt).sum();
    let cached: u64 = counts.iter().map(|(cached, _)| cached).sum();
    (prompt > 0).then(|| cached as f64 / prompt as f64)
}
