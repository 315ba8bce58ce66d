//! Results that other clients recorded, computed again under their own definitions.
//!
//! vLLM's and SGLang's clients keep per-request arrays: time to first token,
//! gaps between chunks, output lengths. [`Recording::recompute`] derives
//! their printed summary from these, which checks our arithmetic against
//! theirs and lets foreign results be compared in one form.

mod error;
mod python_json;
mod sglang;
mod vllm;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;

pub use error::ImportError;
pub use sglang::read_sglang;
pub use vllm::read_vllm;

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

/// One run as another client recorded it. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    pub duration_s: f64,
    pub completed: usize,
    /// Time to first token of each successful request.
    pub ttfts_s: Vec<f64>,
    /// Gaps between successive chunks of each successful request.
    pub itls_s: Vec<Vec<f64>>,
    /// Output tokens of each successful request.
    pub output_lens: Vec<u64>,
    /// The summary that the client wrote itself.
    pub reported: LatencySummary,
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

/// The keys that both clients' result files share.
#[derive(Deserialize)]
struct Raw {
    duration: f64,
    completed: usize,
    ttfts: Vec<f64>,
    itls: Vec<Vec<f64>>,
    output_lens: Vec<u64>,
    errors: Vec<Option<String>>,
    mean_ttft_ms: f64,
    median_ttft_ms: f64,
    p99_ttft_ms: f64,
    mean_tpot_ms: f64,
    median_tpot_ms: f64,
    p99_tpot_ms: f64,
    mean_itl_ms: f64,
    median_itl_ms: f64,
    p99_itl_ms: f64,
}

impl Raw {
    fn into_recording(self) -> Result<Recording, String> {
        let count = self.ttfts.len();
        for (key, len) in [
            ("itls", self.itls.len()),
            ("output_lens", self.output_lens.len()),
            ("errors", self.errors.len()),
        ] {
            if len != count {
                return Err(format!("`{key}` has {len} entries, `ttfts` has {count}"));
            }
        }
        let mut recording = Recording {
            duration_s: self.duration,
            completed: self.completed,
            ttfts_s: Vec::new(),
            itls_s: Vec::new(),
            output_lens: Vec::new(),
            reported: LatencySummary {
                ttft: Spread {
                    mean_ms: self.mean_ttft_ms,
                    median_ms: self.median_ttft_ms,
                    p99_ms: self.p99_ttft_ms,
                },
                tpot: Spread {
                    mean_ms: self.mean_tpot_ms,
                    median_ms: self.median_tpot_ms,
                    p99_ms: self.p99_tpot_ms,
                },
                itl: Spread {
                    mean_ms: self.mean_itl_ms,
                    median_ms: self.median_itl_ms,
                    p99_ms: self.p99_itl_ms,
                },
            },
        };
        let requests = self.ttfts.into_iter().zip(self.itls).zip(self.output_lens);
        for (((ttft, gaps), len), error) in requests.zip(self.errors) {
            if error.is_none_or(|words| words.is_empty()) {
                recording.ttfts_s.push(ttft);
                recording.itls_s.push(gaps);
                recording.output_lens.push(len);
            }
        }
        Ok(recording)
    }
}
