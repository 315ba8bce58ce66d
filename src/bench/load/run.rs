//! What to send, where, and when.

use std::num::NonZeroUsize;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bench::workload::Prompt;
use crate::http::Base;

/// The API that carries the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Endpoint {
    /// OpenAI text completion. Prompts are token ids or text.
    #[serde(rename = "/v1/completions")]
    Completions,
    /// OpenAI chat. Prompts are messages or text; the engine's template adds tokens.
    #[serde(rename = "/v1/chat/completions")]
    Chat,
    /// SGLang's own API. Prompts are token ids or text.
    #[serde(rename = "/generate")]
    Generate,
}

impl Endpoint {
    /// The request path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Completions => "/v1/completions",
            Self::Chat => "/v1/chat/completions",
            Self::Generate => "/generate",
        }
    }
}

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// Mean rate in requests/s; absent: all requests are due at once.
    pub rate: Option<f64>,
    /// Shape of the gamma distribution of the gaps: 1 is a Poisson process,
    /// below 1 is burstier, infinity is a constant rate.
    pub burstiness: f64,
}

impl Arrivals {
    /// All requests at once.
    pub const AT_ONCE: Self = Self {
        rate: None,
        burstiness: 1.0,
    };

    /// A Poisson process of a mean rate in requests/s.
    pub fn poisson(rate: f64) -> Self {
        Self {
            rate: Some(rate),
            burstiness: 1.0,
        }
    }

    /// Equal gaps of 1/rate seconds.
    pub fn constant(rate: f64) -> Self {
        Self {
            rate: Some(rate),
            burstiness: f64::INFINITY,
        }
    }
}

/// How the engine chooses tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Sampling temperature; absent: the engine's default, which differs between engines.
    pub temperature: Option<f64>,
    /// Whether to generate the whole requested length.
    pub ignore_eos: bool,
    /// Sampling seed; sent only where the temperature is not 0.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    /// Greedy, and the whole requested length.
    fn default() -> Self {
        Self {
            temperature: Some(0.0),
            ignore_eos: true,
            seed: None,
        }
    }
}

/// One run of load against one engine.
#[derive(Debug, Clone)]
pub struct LoadRun {
    /// Where the engine listens.
    pub base: Base,
    pub endpoint: Endpoint,
    /// The name that the engine serves the model under.
    pub model: String,
    /// One request each, in order of dispatch.
    pub prompts: Vec<Prompt>,
    pub arrivals: Arrivals,
    /// Seed of the arrival gaps.
    pub arrival_seed: u64,
    /// Most requests in flight; absent: no cap.
    pub max_concurrency: Option<NonZeroUsize>,
    pub sampling: Sampling,
    /// Whether to ask an OpenAI endpoint for token counts on every chunk
    /// (`stream_options.continuous_usage_stats`); engines that do not know it ignore it.
    pub continuous_usage: bool,
    /// Further keys of the request body. Objects are merged; `null` removes a key.
    pub extra_body: Map<String, Value>,
    /// From sending a request to the end of its answer.
    pub request_timeout: Duration,
    /// Threads that send and receive; absent: see [`LoadRun::threads`].
    pub threads: Option<NonZeroUsize>,
}

impl LoadRun {
    /// A run with every prompt due at once, no cap, greedy sampling, and a time limit of an hour.
    pub fn new(
        base: Base,
        endpoint: Endpoint,
        model: impl Into<String>,
        prompts: Vec<Prompt>,
    ) -> Self {
        Self {
            base,
            endpoint,
            model: model.into(),
            prompts,
            arrivals: Arrivals::AT_ONCE,
            arrival_seed: 0,
            max_concurrency: None,
            sampling: Sampling::default(),
            continuous_usage: true,
            extra_body: Map::new(),
            request_timeout: Duration::from_secs(3600),
            threads: None,
        }
    }

    /// Threads that the run uses: those asked for, else one for every eight
    /// processors, at most four.
    pub fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(|| {
            let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            NonZeroUsize::new((processors / 8).clamp(1, 4)).unwrap_or(NonZeroUsize::MIN)
        })
    }
}
