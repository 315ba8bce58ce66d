//! The command line of the simulated engine.

use std::net::IpAddr;
use std::path::PathBuf;

use super::SimError;
use super::cost::{CostModel, KvPolicy, Schedule};
use super::dialect::Dialect;
use super::planned_fault::PlannedFault;
use super::trace::Architecture;

/// Above this share of GPU memory the simulated model does not load.
const MOST_MEMORY: f64 = 0.95;
/// Share of GPU memory that weights and activations take, and the share at
/// which the cost model's `kv_tokens` fit.
const WEIGHTS_SHARE: f64 = 0.18;
const NOMINAL_SHARE: f64 = 0.85;

/// Serve an OpenAI-compatible API with a stated cost model instead of a GPU.
///
/// Flags of the real engines that have a counterpart are accepted under their
/// own names, so that a plan for one can launch the simulation instead.
#[derive(Debug, Clone, clap::Args)]
pub struct SimConfig {
    /// Engine to speak like: log lines, metric names, error bodies, defaults.
    #[arg(long, value_enum, default_value = "openai")]
    pub dialect: Dialect,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one [default: 8080, 30000 or 8000, as the dialect].
    #[arg(long)]
    pub port: Option<u16>,
    /// Name or folder of the model; nothing is read from it.
    #[arg(long, visible_alias = "model-path", default_value = "sim-8b")]
    pub model: String,
    /// Name that requests use [default: the model's].
    #[arg(long)]
    pub served_model_name: Option<String>,
    /// TOML file with the cost model; flags go before it.
    #[arg(long, value_name = "FILE")]
    pub cost_model: Option<PathBuf>,
    /// Run this many times faster: every duration of the cost model is divided by it.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    pub time_scale: f64,
    /// Seed of all random variation.
    #[arg(long, visible_alias = "random-seed", default_value_t = 1)]
    pub seed: u64,
    /// Seconds from start to ready, divided by the time scale.
    #[arg(long, default_value_t = 0.2, value_name = "SECONDS")]
    pub load_s: f64,
    /// A failure to show; may be repeated: oom-at-load, oom-after=REQUESTS, never-ready,
    /// ignore-sigterm, crash-after=TOKENS, error-every=REQUESTS, cut-every=REQUESTS,
    /// profiler-refuses, no-trace, cut-trace, crash-in-profile.
    #[arg(long = "fault", value_name = "KIND")]
    pub faults: Vec<PlannedFault>,
    #[command(flatten)]
    pub cost: CostFlags,
    #[command(flatten)]
    pub limits: LimitFlags,
    #[command(flatten)]
    pub stream: StreamFlags,
    #[command(flatten)]
    pub profile: ProfileFlags,
    #[command(flatten)]
    pub accepted: AcceptedFlags,
}

/// Overrides of the cost model's durations.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Cost model")]
pub struct CostFlags {
    /// Prompt tokens a second at an empty context.
    #[arg(long, value_name = "RATE")]
    pub prefill_tokens_per_s: Option<f64>,
    /// Fixed time of a decode step.
    #[arg(long, value_name = "MS")]
    pub decode_base_ms: Option<f64>,
    /// Time of each sequence in a decode step.
    #[arg(long, value_name = "MS")]
    pub decode_per_sequence_ms: Option<f64>,
    /// Time of each 1,000 tokens of context in a decode step.
    #[arg(long, value_name = "MS")]
    pub decode_per_1k_context_ms: Option<f64>,
    /// Mean tokens that a sequence gains in a decode step, as with speculative decoding.
    #[arg(long, value_name = "TOKENS")]
    pub accept_length: Option<f64>,
    /// Idle time before every step.
    #[arg(long, value_name = "MS")]
    pub host_gap_ms: Option<f64>,
    /// Delay of every request before it may be scheduled.
    #[arg(long, value_name = "MS")]
    pub extra_ttft_ms: Option<f64>,
    /// Further time of every step.
    #[arg(long, value_name = "MS")]
    pub extra_step_ms: Option<f64>,
    /// Standard deviation of a step's time in percent.
    #[arg(long, value_name = "PCT")]
    pub noise_pct: Option<f64>,
    /// Standard deviation of one factor on all steps of a launch, in percent.
    #[arg(long, value_name = "PCT")]
    pub launch_noise_pct: Option<f64>,
}

/// Overrides of what the scheduler may hold.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Scheduler")]
pub struct LimitFlags {
    /// Most sequences in the running batch.
    #[arg(long, visible_aliases = ["max-running-requests", "max-num-seqs", "parallel"], value_name = "N")]
    pub max_running: Option<u32>,
    /// Tokens that the KV cache holds.
    #[arg(long, visible_alias = "max-total-tokens", value_name = "TOKENS")]
    pub kv_tokens: Option<u32>,
    /// Most tokens that one step prefills.
    #[arg(long, visible_aliases = ["chunked-prefill-size", "max-num-batched-tokens"], value_name = "TOKENS")]
    pub chunk_tokens: Option<u32>,
    /// Longest prompt and output together.
    #[arg(long, visible_alias = "max-model-len", value_name = "TOKENS")]
    pub context_length: Option<u32>,
    /// Work that a step takes [default: mixed for vllm, else prefill-first].
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// When a request gets room in the KV cache [default: grow for vllm, else reserve].
    #[arg(long, value_enum)]
    pub kv_policy: Option<KvPolicy>,
    /// Preempt the sequence admitted last after every so many decode steps; 0 for never.
    #[arg(long, value_name = "STEPS")]
    pub preempt_every: Option<u32>,
    /// Share of GPU memory for weights and KV cache; scales the KV cache, and above 0.95 the
    /// model does not load.
    #[arg(long, visible_aliases = ["mem-fraction-static", "gpu-memory-utilization"], value_name = "SHARE")]
    pub memory_fraction: Option<f64>,
    /// Keep computed prompts for later requests with the same prefix [default: as the dialect].
    #[arg(
        long,
        visible_alias = "enable-prefix-caching",
        overrides_with = "no_prefix_cache"
    )]
    pub prefix_cache: bool,
    /// Compute every prompt anew.
    #[arg(
        long,
        visible_aliases = ["disable-radix-cache", "no-enable-prefix-caching"],
        overrides_with = "prefix_cache"
    )]
    pub no_prefix_cache: bool,
}

/// What a stream looks like.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Streams")]
pub struct StreamFlags {
    /// Tokens of one streamed chunk.
    #[arg(long, default_value_t = 1, value_name = "TOKENS")]
    pub stream_interval: u32,
    /// `/generate` streams only new text instead of all text so far.
    #[arg(long)]
    pub incremental_streaming_output: bool,
    /// Every n-th token has no text; 0 for none.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub empty_text_every: u32,
    /// Outputs without `ignore_eos` end by themselves after about this many tokens; 0 for never.
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub eos_after: u32,
}

/// What `/start_profile` records.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Profiler")]
pub struct ProfileFlags {
    /// Layers of the model in traces.
    #[arg(long, default_value_t = 36, value_name = "N")]
    pub layers: usize,
    /// How the layers of the model repeat in traces.
    #[arg(long, value_enum, default_value = "dense")]
    pub architecture: Architecture,
    /// Show every kernel with an operator of its own in traces.
    #[arg(long, visible_alias = "enforce-eager")]
    pub disable_cuda_graph: bool,
    /// Folder for traces; vllm has its profiler routes only with it.
    #[arg(long, value_name = "FOLDER")]
    pub profiler_dir: Option<PathBuf>,
    /// The same as vLLM takes it: {"profiler": "torch", "torch_profiler_dir": FOLDER}.
    #[arg(long, value_name = "JSON")]
    pub profiler_config: Option<String>,
}

impl Default for ProfileFlags {
    fn default() -> Self {
        Self {
            layers: 36,
            architecture: Architecture::Dense,
            disable_cuda_graph: false,
            profiler_dir: None,
            profiler_config: None,
        }
    }
}

impl ProfileFlags {
    /// Folder that was configured for traces.
    pub fn folder(&self) -> Option<PathBuf> {
        let from_config = || {
            let config: serde_json::Value =
                serde_json::from_str(self.profiler_config.as_deref()?).ok()?;
            config
                .get("torch_profiler_dir")?
                .as_str()
                .map(PathBuf::from)
        };
        self.profiler_dir.clone().or_else(from_config)
    }
}

/// Flags of real engines that are accepted without any effect.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Accepted without effect")]
pub struct AcceptedFlags {
    /// Parallel ranks.
    #[arg(long, visible_aliases = ["tp", "tensor-parallel-size"], value_name = "N")]
    pub tp_size: Option<u32>,
    /// Tokenizer folder.
    #[arg(long, visible_alias = "tokenizer-path", value_name = "PATH")]
    pub tokenizer: Option<String>,
    /// Model revision.
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
    /// Data type of the weights.
    #[arg(long, value_name = "TYPE")]
    pub dtype: Option<String>,
    /// Quantization of the weights.
    #[arg(long, value_name = "METHOD")]
    pub quantization: Option<String>,
    /// How weights would be loaded.
    #[arg(long, value_name = "FORMAT")]
    pub load_format: Option<String>,
    /// Trust code of the model.
    #[arg(long)]
    pub trust_remote_code: bool,
    /// Serve `/metrics`, which is always served.
    #[arg(long)]
    pub enable_metrics: bool,
}

impl Default for StreamFlags {
    fn default() -> Self {
        Self {
            stream_interval: 1,
            incremental_streaming_output: false,
            empty_text_every: 0,
            eos_after: 0,
        }
    }
}

impl SimConfig {
    /// The configuration that the flags' defaults give, on a free port and ready at once.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            host: "127.0.0.1".to_owned(),
            port: Some(0),
            model: "sim-8b".to_owned(),
            served_model_name: None,
            cost_model: None,
            time_scale: 1.0,
            seed: 1,
            cost: CostFlags::default(),
            limits: LimitFlags::default(),
            stream: StreamFlags::default(),
            load_s: 0.0,
            faults: Vec::new(),
            profile: ProfileFlags::default(),
            accepted: AcceptedFlags::default(),
        }
    }

    /// Name that requests use.
    pub fn served_name(&self) -> &str {
        self.served_model_name.as_deref().unwrap_or(&self.model)
    }

    /// Whether computed prompts are kept.
    pub fn caches_prefixes(&self) -> bool {
        (self.limits.prefix_cache || self.dialect.caches_prefixes()) && !self.limits.no_prefix_cache
    }

    /// Seconds from start to ready, or nothing if that never comes.
    pub fn ready_after(&self) -> Option<f64> {
        let never = self.faults.contains(&PlannedFault::NeverReady);
        (!never).then_some(self.load_s / self.time_scale)
    }

    /// Whether loading runs out of memory.
    pub fn oom_at_load(&self) -> bool {
        self.faults.contains(&PlannedFault::OomAtLoad)
            || self
                .limits
                .memory_fraction
                .is_some_and(|share| share > MOST_MEMORY)
    }

    pub(super) fn address(&self) -> Result<IpAddr, SimError> {
        match self.host.as_str() {
            "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
            host => host.parse().map_err(|_| SimError::Host {
                host: host.to_owned(),
            }),
        }
    }

    /// The cost model: defaults, then the dialect, the file, the flags, and the time scale.
    pub fn cost_model(&self) -> Result<CostModel, SimError> {
        let mut model = match &self.cost_model {
            Some(path) => CostModel::read(path)?,
            None => CostModel::default(),
        };
        if self.cost_model.is_none() && self.dialect == Dialect::Vllm {
            model.limits.schedule = Schedule::Mixed;
            model.limits.kv_policy = KvPolicy::Grow;
        }
        self.cost.apply(&mut model);
        self.limits.apply(&mut model);
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return Err(SimError::OutOfRange {
                key: "--time-scale",
                value: self.time_scale,
                least: f64::MIN_POSITIVE,
            });
        }
        if !(self.load_s.is_finite() && self.load_s >= 0.0) {
            return Err(SimError::OutOfRange {
                key: "--load-s",
                value: self.load_s,
                least: 0.0,
            });
        }
        model.check()?;
        Ok(model.faster(self.time_scale))
    }
}

fn set<T: Copy>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl CostFlags {
    fn apply(&self, model: &mut CostModel) {
        set(&mut model.prefill.tokens_per_s, self.prefill_tokens_per_s);
        set(&mut model.decode.base_ms, self.decode_base_ms);
        set(
            &mut model.decode.per_sequence_ms,
            self.decode_per_sequence_ms,
        );
        set(
            &mut model.decode.per_1k_context_ms,
            self.decode_per_1k_context_ms,
        );
        set(&mut model.decode.accept_length, self.accept_length);
        set(&mut model.host.gap_ms, self.host_gap_ms);
        set(&mut model.host.extra_ttft_ms, self.extra_ttft_ms);
        set(&mut model.host.extra_step_ms, self.extra_step_ms);
        set(&mut model.noise.step_pct, self.noise_pct);
        set(&mut model.noise.launch_pct, self.launch_noise_pct);
    }
}

impl LimitFlags {
    fn apply(&self, model: &mut CostModel) {
        set(&mut model.limits.max_running, self.max_running);
        set(&mut model.limits.chunk_tokens, self.chunk_tokens);
        set(&mut model.limits.context_length, self.context_length);
        set(&mut model.limits.schedule, self.schedule);
        set(&mut model.limits.kv_policy, self.kv_policy);
        set(&mut model.limits.preempt_every, self.preempt_every);
        set(&mut model.limits.kv_tokens, self.kv_tokens);
        if let (None, Some(share)) = (self.kv_tokens, self.memory_fraction) {
            let scale = (share - WEIGHTS_SHARE) / (NOMINAL_SHARE - WEIGHTS_SHARE);
            let tokens = f64::from(model.limits.kv_tokens) * scale;
            model.limits.kv_tokens = tokens.max(0.0) as u32;
        }
    }
}
