//! What the engine counts, and the Prometheus text of each dialect.

use std::fmt::Write;

use super::dialect::Dialect;
use super::scheduler::{Levels, Nanos};
use super::sequence::Emission;

/// Bucket bounds in seconds, those of vLLM's time to first token.
const FIRST_TOKEN_S: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
/// Bucket bounds in seconds, those of vLLM's inter-token latency.
const BETWEEN_S: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// A cumulative histogram.
#[derive(Debug, Clone)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len()],
            sum: 0.0,
            count: 0,
        }
    }

    fn add(&mut self, value: f64, times: u64) {
        let first = self.bounds.partition_point(|bound| *bound < value);
        for count in self.counts.iter_mut().skip(first) {
            *count += times;
        }
        self.sum += value * times as f64;
        self.count += times;
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let _ = writeln!(out, "# TYPE {name} histogram");
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound:?}\",{labels}}} {count}.0");
        }
        let _ = writeln!(
            out,
            "{name}_bucket{{le=\"+Inf\",{labels}}} {}.0",
            self.count
        );
        let _ = writeln!(out, "{name}_sum{{{labels}}} {:?}", self.sum);
        let _ = writeln!(out, "{name}_count{{{labels}}} {}.0", self.count);
    }
}

/// Everything that `/metrics` shows.
#[derive(Debug, Clone)]
pub struct Stats {
    pub levels: Levels,
    /// Generated tokens a second over the last 40 decode steps.
    pub gen_throughput: f64,
    /// Furthest that a step ended behind the cost model's schedule.
    pub worst_lag: Nanos,
    first_token: Histogram,
    between: Histogram,
    whole: Histogram,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            levels: Levels::default(),
            gen_throughput: 0.0,
            worst_lag: 0,
            first_token: Histogram::new(&FIRST_TOKEN_S),
            between: Histogram::new(&BETWEEN_S),
            whole: Histogram::new(&FIRST_TOKEN_S),
        }
    }
}

impl Stats {
    /// Counts the chunks of one step.
    pub fn count(&mut self, emissions: &[Emission]) {
        let seconds = |from: Nanos, to: Nanos| to.saturating_sub(from) as f64 / 1e9;
        for emission in emissions {
            match emission.previous {
                None => self
                    .first_token
                    .add(seconds(emission.arrived, emission.at), 1),
                Some(previous) => {
                    let tokens = emission.new_tokens.max(1);
                    let gap = seconds(previous, emission.at) / f64::from(tokens);
                    self.between.add(gap, tokens.into());
                }
            }
            if emission.finish.is_some() {
                self.whole.add(seconds(emission.arrived, emission.at), 1);
            }
        }
    }

    /// The Prometheus text.
    pub fn text(&self, dialect: Dialect, model: &str, kv_tokens: u32) -> String {
        let model = serde_json::Value::from(model).to_string();
        let (prefix, labels) = match dialect {
            Dialect::Sglang => (
                "sglang:",
                format!(
                    "engine_type=\"unified\",model_name={model},moe_ep_rank=\"0\",pp_rank=\"0\",tp_rank=\"0\""
                ),
            ),
            Dialect::Vllm => ("vllm:", format!("engine=\"0\",model_name={model}")),
            Dialect::OpenAi => ("llamacpp:", String::new()),
        };
        let mut out = String::new();
        for (name, kind, value) in self.values(dialect, kv_tokens) {
            let _ = writeln!(out, "# TYPE {prefix}{name} {kind}");
            let labels = braced(&labels);
            let _ = writeln!(out, "{prefix}{name}{labels} {value:?}");
        }
        if dialect != Dialect::OpenAi {
            let whole = "e2e_request_latency_seconds";
            self.first_token.write(
                &mut out,
                &format!("{prefix}time_to_first_token_seconds"),
                &labels,
            );
            self.between.write(
                &mut out,
                &format!("{prefix}inter_token_latency_seconds"),
                &labels,
            );
            self.whole
                .write(&mut out, &format!("{prefix}{whole}"), &labels);
        }
        let _ = writeln!(out, "# TYPE sim:worst_lag_seconds gauge");
        let _ = writeln!(
            out,
            "sim:worst_lag_seconds {:?}",
            self.worst_lag as f64 / 1e9
        );
        out
    }

    fn values(&self, dialect: Dialect, kv_tokens: u32) -> Vec<(&'static str, &'static str, f64)> {
        let levels = &self.levels;
        let usage = f64::from(levels.kv_used) / f64::from(kv_tokens.max(1));
        let hit_rate = levels.cached_tokens as f64 / levels.prompt_tokens.max(1) as f64;
        let (counter, gauge) = ("counter", "gauge");
        match dialect {
            Dialect::Sglang => vec![
                ("prompt_tokens_total", counter, levels.prompt_tokens as f64),
                (
                    "generation_tokens_total",
                    counter,
                    levels.generated_tokens as f64,
                ),
                ("num_requests_total", counter, levels.finished as f64),
                ("num_running_reqs", gauge, levels.running.into()),
                ("num_queue_reqs", gauge, levels.waiting.into()),
                ("num_used_tokens", gauge, levels.kv_used.into()),
                ("max_total_num_tokens", gauge, kv_tokens.into()),
                ("token_usage", gauge, usage),
                ("gen_throughput", gauge, self.gen_throughput),
                ("cache_hit_rate", gauge, hit_rate),
                ("num_retracted_reqs", gauge, levels.preemptions as f64),
                ("fwd_occupancy", gauge, levels.gpu_busy_pct()),
                ("spec_accept_length", gauge, accept_length(levels)),
            ],
            Dialect::Vllm => vec![
                ("num_requests_running", gauge, levels.running.into()),
                ("num_requests_waiting", gauge, levels.waiting.into()),
                ("kv_cache_usage_perc", gauge, usage),
                (
                    "prefix_cache_queries_total",
                    counter,
                    levels.prompt_tokens as f64,
                ),
                (
                    "prefix_cache_hits_total",
                    counter,
                    levels.cached_tokens as f64,
                ),
                ("num_preemptions_total", counter, levels.preemptions as f64),
                ("prompt_tokens_total", counter, levels.prompt_tokens as f64),
                (
                    "generation_tokens_total",
                    counter,
                    levels.generated_tokens as f64,
                ),
            ],
            Dialect::OpenAi => vec![
                ("prompt_tokens_total", counter, levels.prompt_tokens as f64),
                (
                    "tokens_predicted_total",
                    counter,
                    levels.generated_tokens as f64,
                ),
                ("n_decode_total", counter, levels.decode_steps as f64),
                ("requests_processing", gauge, levels.running.into()),
                ("requests_deferred", gauge, levels.waiting.into()),
                ("kv_cache_usage_ratio", gauge, usage),
            ],
        }
    }
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

/// Tokens of a sequence in a decode step at the mean; 0 as SGLang shows it without speculation.
fn accept_length(levels: &Levels) -> f64 {
    let mean = levels.decode_tokens as f64 / levels.decode_sequences.max(1) as f64;
    if mean > 1.0 { mean } else { 0.0 }
}
