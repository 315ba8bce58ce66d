//! What a step costs and how much fits: the whole of a simulated engine's speed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SimError;

/// Speed and capacity of a simulated engine, as its TOML file holds them.
///
/// The defaults follow an 8B dense model in bf16 on one H100: decode steps of
/// 6.2 ms for one sequence and 14.9 ms for 80 sequences of 2,070 tokens, and
/// 43,500 prefilled tokens a second for prompts of 1,000.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CostModel {
    pub prefill: PrefillCost,
    pub decode: DecodeCost,
    pub host: HostCost,
    pub limits: Limits,
    pub noise: Noise,
    pub output: Output,
}

/// Cost of computing prompt tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrefillCost {
    /// Prompt tokens a second at an empty context.
    pub tokens_per_s: f64,
    /// Fixed cost of a step that prefills, in milliseconds.
    pub base_ms: f64,
    /// Further cost of a prompt token for each 1,000 tokens before it, in microseconds.
    pub per_1k_context_us: f64,
}

impl Default for PrefillCost {
    fn default() -> Self {
        Self {
            tokens_per_s: 45_000.0,
            base_ms: 1.0,
            per_1k_context_us: 1.2,
        }
    }
}

/// Cost of one decode step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeCost {
    /// Fixed cost of a step that decodes, in milliseconds: reading the weights.
    pub base_ms: f64,
    /// Cost of each sequence in the batch, in milliseconds.
    pub per_sequence_ms: f64,
    /// Cost of each 1,000 tokens of context over the whole batch, in milliseconds.
    pub per_1k_context_ms: f64,
    /// Mean tokens that a sequence gains in a decode step; above 1 with speculative decoding.
    pub accept_length: f64,
}

impl Default for DecodeCost {
    fn default() -> Self {
        Self {
            base_ms: 6.1,
            per_sequence_ms: 0.016,
            per_1k_context_ms: 0.0456,
            accept_length: 1.0,
        }
    }
}

/// Time in which the GPU waits for the host, and delays that break an SLA.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostCost {
    /// Idle time before every step, in milliseconds.
    pub gap_ms: f64,
    /// Delay of every request before it may be scheduled, in milliseconds.
    pub extra_ttft_ms: f64,
    /// Further time of every step, in milliseconds.
    pub extra_step_ms: f64,
}

/// What the scheduler may hold at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most sequences in the running batch.
    pub max_running: u32,
    /// Tokens that the KV cache holds.
    pub kv_tokens: u32,
    /// Most tokens that one step prefills, or in a mixed step prefills and decodes.
    pub chunk_tokens: u32,
    /// Longest prompt and output together, in tokens.
    pub context_length: u32,
    pub schedule: Schedule,
    pub kv_policy: KvPolicy,
    /// After every so many decode steps the sequence admitted last is
    /// preempted though there is room; 0 for never.
    pub preempt_every: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_running: 256,
            kv_tokens: 370_000,
            chunk_tokens: 8_192,
            context_length: 10_240,
            schedule: Schedule::PrefillFirst,
            kv_policy: KvPolicy::Reserve,
            preempt_every: 0,
        }
    }
}

/// Which work a step takes when both prefill and decode wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// A step either prefills, which goes first, or decodes.
    PrefillFirst,
    /// A step decodes every sequence and fills the rest of its budget with prefill.
    Mixed,
}

/// When a request gets room in the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum KvPolicy {
    /// Prompt and longest output are reserved at admission: nothing is ever preempted.
    Reserve,
    /// Room grows with the output; when it runs out, the sequence admitted last is
    /// preempted and computed again.
    Grow,
}

/// Random variation, drawn from the configured seed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Standard deviation of a step's time in percent.
    pub step_pct: f64,
    /// Standard deviation of one factor on all steps of a launch, in percent.
    pub launch_pct: f64,
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Changes every output token: an engine whose results are wrong.
    pub salt: u64,
}

/// The work of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Prompt tokens computed.
    pub prefill_tokens: u32,
    /// Sum over these tokens of the tokens before each.
    pub prefill_context: u64,
    /// Sequences that decode.
    pub decode_batch: u32,
    /// Sum of their contexts in tokens.
    pub decode_context: u64,
}

impl CostModel {
    /// Reads a TOML file; keys that it does not have keep their defaults.
    pub fn read(path: &Path) -> Result<Self, SimError> {
        let text = crate::disk::read_text(path)?;
        let model: Self = toml::from_str(&text).map_err(|source| SimError::CostModel {
            path: path.to_path_buf(),
            source: Box::new(source),
        })?;
        Ok(model)
    }

    /// Refuses values with which no step could be computed.
    pub fn check(&self) -> Result<(), SimError> {
        let at_least = |key: &'static str, value: f64, least: f64| {
            if value.is_finite() && value >= least {
                Ok(())
            } else {
                Err(SimError::OutOfRange { key, value, least })
            }
        };
        at_least("prefill.tokens_per_s", self.prefill.tokens_per_s, 1e-3)?;
        at_least("prefill.base_ms", self.prefill.base_ms, 0.0)?;
        at_least(
            "prefill.per_1k_context_us",
            self.prefill.per_1k_context_us,
            0.0,
        )?;
        at_least("decode.base_ms", self.decode.base_ms, 0.0)?;
        at_least("decode.per_sequence_ms", self.decode.per_sequence_ms, 0.0)?;
        at_least(
            "decode.per_1k_context_ms",
            self.decode.per_1k_context_ms,
            0.0,
        )?;
        at_least("decode.accept_length", self.decode.accept_length, 1.0)?;
        at_least("host.gap_ms", self.host.gap_ms, 0.0)?;
        at_least("host.extra_ttft_ms", self.host.extra_ttft_ms, 0.0)?;
        at_least("host.extra_step_ms", self.host.extra_step_ms, 0.0)?;
        at_least("limits.max_running", self.limits.max_running.into(), 1.0)?;
        at_least("limits.kv_tokens", self.limits.kv_tokens.into(), 2.0)?;
        at_least("limits.chunk_tokens", self.limits.chunk_tokens.into(), 1.0)?;
        at_least(
            "limits.context_length",
            self.limits.context_length.into(),
            2.0,
        )?;
        at_least("noise.step_pct", self.noise.step_pct, 0.0)?;
        at_least("noise.launch_pct", self.noise.launch_pct, 0.0)
    }

    /// The same engine with every duration divided by `scale`.
    #[must_use]
    pub fn faster(mut self, scale: f64) -> Self {
        self.prefill.tokens_per_s *= scale;
        for duration in [
            &mut self.prefill.base_ms,
            &mut self.prefill.per_1k_context_us,
            &mut self.decode.base_ms,
            &mut self.decode.per_sequence_ms,
            &mut self.decode.per_1k_context_ms,
            &mut self.host.gap_ms,
            &mut self.host.extra_ttft_ms,
            &mut self.host.extra_step_ms,
        ] {
            *duration /= scale;
        }
        self
    }

    /// GPU time of a step in milliseconds, without noise and host gap:
    ///
    /// - prefill: `base_ms` + tokens / `tokens_per_s` + context · `per_1k_context_us`
    /// - decode: `base_ms` + batch · `per_sequence_ms` + context · `per_1k_context_ms`
    ///
    /// A mixed step pays the larger base once.
    pub fn gpu_ms(&self, work: Work) -> f64 {
        let mut base: f64 = 0.0;
        let mut time = 0.0;
        if work.prefill_tokens > 0 {
            base = base.max(self.prefill.base_ms);
            time += 1e3 * f64::from(work.prefill_tokens) / self.prefill.tokens_per_s
                + self.prefill.per_1k_context_us * work.prefill_context as f64 / 1e6;
        }
        if work.decode_batch > 0 {
            base = base.max(self.decode.base_ms);
            time += self.decode.per_sequence_ms * f64::from(work.decode_batch)
                + self.decode.per_1k_context_ms * work.decode_context as f64 / 1e3;
        }
        base + time
    }
}
