//! Results that other clients recorded: `vllm bench serve` and SGLang's client.
//!
//! Both keep per-request arrays: time to first token, gaps between chunks,
//! prompt and output lengths. [`Recording::recompute`] derives their printed
//! summary from these, which checks our arithmetic against theirs;
//! [`Recording::samples`] turns them into the load generator's own samples,
//! so that everything that reads a run of ours reads theirs too.

mod error;
mod python_json;
mod raw;
mod read;
mod samples;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metrics::Distribution;

pub use error::ImportError;
pub use read::{read_result, read_sglang, read_vllm};

/// The client that wrote a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Client {
    /// `vllm bench serve --save-result --save-detailed`.
    VllmBench,
    /// `sglang.bench_serving --output-file --output-details`.
    SglangBench,
}

/// Mean, median and 99th percentile, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    pub mean_ms: f64,
    pub median_ms: f64,
    pub p99_ms: f64,
}

/// What a client prints of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencySummary {
    pub ttft: Spread,
    pub tpot: Spread,
    pub itl: Spread,
}

/// One run as another client recorded it. Times are seconds; the arrays hold
/// one entry a successful request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    pub client: Client,
    /// Model as the client named it.
    pub model: Option<String>,
    /// The kind of server that the client was told of, such as `vllm` or `sglang-oai`.
    pub backend: Option<String>,
    /// Local end of the run, `YYYYMMDD-HHMMSS`; only vLLM's client writes it.
    pub date: Option<String>,
    /// Requests a second; none for all at once.
    pub request_rate: Option<f64>,
    /// Cap of requests in flight; none for no cap.
    pub max_concurrency: Option<u32>,
    pub duration_s: f64,
    pub completed: usize,
    pub failed: usize,
    /// When each request was sent, from the first one; none where the client
    /// does not record it.
    pub starts_s: Option<Vec<f64>>,
    /// Time to first token.
    pub ttfts_s: Vec<f64>,
    /// Gaps between successive chunks.
    pub itls_s: Vec<Vec<f64>>,
    /// Prompt tokens as the client counts them; none where it does not record them.
    pub input_lens: Option<Vec<u64>>,
    pub output_lens: Vec<u64>,
    /// The summary that the client wrote itself.
    pub reported: Option<LatencySummary>,
}

impl Recording {
    /// Derives the summary from the per-request arrays. Both clients define
    /// TPOT as (latency − TTFT)/(n − 1) over requests of more than one token.
    /// The latency itself is not recorded; the sum of the gaps stands for
    /// latency − TTFT. For vLLM that is exact. SGLang's latency also
    /// includes the usage chunk and `[DONE]`, some hundredths of a
    /// millisecond a request. `None` without a request of two tokens.
    pub fn recompute(&self) -> Option<LatencySummary> {
        let tpots = self
            .itls_s
            .iter()
            .zip(&self.output_lens)
            .filter(|(_, len)| **len > 1)
            .map(|(gaps, len)| gaps.iter().sum::<f64>() / (len - 1) as f64);
        Some(LatencySummary {
            ttft: spread(self.ttfts_s.iter().copied())?,
            tpot: spread(tpots)?,
            itl: spread(self.itls_s.iter().flatten().copied())?,
        })
    }
}

fn spread(seconds: impl Iterator<Item = f64>) -> Option<Spread> {
    let values = Distribution::new(seconds.map(|value| value * 1000.0));
    Some(Spread {
        mean_ms: values.mean()?,
        median_ms: values.percentile(50.0)?,
        p99_ms: values.percentile(99.0)?,
    })
}
