//! The keys of both clients' result files, and what becomes of them.

use serde::Deserialize;
use serde_json::Value;

use super::{Client, LatencySummary, Recording, Spread};

#[derive(Deserialize)]
pub(super) struct Raw {
    duration: f64,
    completed: usize,
    ttfts: Vec<f64>,
    itls: Vec<Vec<f64>>,
    output_lens: Vec<u64>,
    #[serde(default)]
    errors: Option<Vec<Option<String>>>,
    #[serde(default)]
    start_times: Option<Vec<f64>>,
    #[serde(default)]
    input_lens: Option<Vec<u64>>,
    #[serde(default)]
    backend: Option<String>,
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    model_id: Option<String>,
    /// Only vLLM's client writes it.
    #[serde(default)]
    tokenizer_id: Option<Value>,
    #[serde(default)]
    server_info: Option<ServerInfo>,
    /// A number, `"inf"`, or what was `Infinity`.
    #[serde(default)]
    request_rate: Option<Value>,
    #[serde(default)]
    max_concurrency: Option<u32>,
    #[serde(default)]
    mean_ttft_ms: Option<f64>,
    #[serde(default)]
    median_ttft_ms: Option<f64>,
    #[serde(default)]
    p99_ttft_ms: Option<f64>,
    #[serde(default)]
    mean_tpot_ms: Option<f64>,
    #[serde(default)]
    median_tpot_ms: Option<f64>,
    #[serde(default)]
    p99_tpot_ms: Option<f64>,
    #[serde(default)]
    mean_itl_ms: Option<f64>,
    #[serde(default)]
    median_itl_ms: Option<f64>,
    #[serde(default)]
    p99_itl_ms: Option<f64>,
}

#[derive(Deserialize)]
struct ServerInfo {
    #[serde(default)]
    served_model_name: Option<String>,
}

impl Raw {
    /// The client's own summary, where it is whole.
    fn reported(&self) -> Option<LatencySummary> {
        let spread = |mean: Option<f64>, median: Option<f64>, p99: Option<f64>| {
            Some(Spread {
                mean_ms: mean?,
                median_ms: median?,
                p99_ms: p99?,
            })
        };
        Some(LatencySummary {
            ttft: spread(self.mean_ttft_ms, self.median_ttft_ms, self.p99_ttft_ms)?,
            tpot: spread(self.mean_tpot_ms, self.median_tpot_ms, self.p99_tpot_ms)?,
            itl: spread(self.mean_itl_ms, self.median_itl_ms, self.p99_itl_ms)?,
        })
    }

    pub(super) fn into_recording(self) -> Result<Recording, String> {
        let count = self.ttfts.len();
        let lengths = [
            ("itls", Some(self.itls.len())),
            ("output_lens", Some(self.output_lens.len())),
            ("errors", self.errors.as_ref().map(Vec::len)),
            ("start_times", self.start_times.as_ref().map(Vec::len)),
            ("input_lens", self.input_lens.as_ref().map(Vec::len)),
        ];
        for (key, len) in lengths {
            if len.is_some_and(|len| len != count) {
                return Err(format!(
                    "`{key}` has {} entries, `ttfts` has {count}",
                    len.unwrap_or_default()
                ));
            }
        }
        let ok: Vec<bool> = match &self.errors {
            Some(errors) => errors
                .iter()
                .map(|words| words.as_deref().is_none_or(str::is_empty))
                .collect(),
            None => vec![true; count],
        };
        let reported = self.reported();
        let starts_s = self.start_times.map(|starts| {
            let first = starts.iter().copied().fold(f64::INFINITY, f64::min);
            kept(starts, &ok)
                .into_iter()
                .map(|start| start - first)
                .collect()
        });
        Ok(Recording {
            client: if self.tokenizer_id.is_some() || self.date.is_some() {
                Client::VllmBench
            } else {
                Client::SglangBench
            },
            model: self
                .model_id
                .or_else(|| self.server_info.and_then(|info| info.served_model_name)),
            backend: self.backend,
            date: self.date,
            request_rate: self
                .request_rate
                .and_then(|rate| rate.as_f64())
                .filter(|rate| rate.is_finite() && *rate > 0.0),
            max_concurrency: self.max_concurrency,
            duration_s: self.duration,
            completed: self.completed,
            failed: ok.iter().filter(|ok| !**ok).count(),
            starts_s,
            ttfts_s: kept(self.ttfts, &ok),
            itls_s: kept(self.itls, &ok),
            input_lens: self.input_lens.map(|lens| kept(lens, &ok)),
            output_lens: kept(self.output_lens, &ok),
            reported,
        })
    }
}

fn kept<T>(values: Vec<T>, ok: &[bool]) -> Vec<T> {
    values
        .into_iter()
        .zip(ok)
        .filter_map(|(value, ok)| ok.then_some(value))
        .collect()
}
