//! Which engine the simulated one speaks like.

use serde::{Deserialize, Serialize};

/// Log lines, metric names, error bodies, stream details and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// A plain OpenAI-compatible server with llama.cpp's metric names.
    #[value(name = "openai")]
    OpenAi,
    /// SGLang 0.5.
    Sglang,
    /// vLLM 0.25.
    Vllm,
}

impl Dialect {
    /// The port that the real engine listens on by default.
    pub fn default_port(self) -> u16 {
        match self {
            Self::OpenAi => 8080,
            Self::Sglang => 30000,
            Self::Vllm => 8000,
        }
    }

    /// Whether the real engine keeps prompt prefixes unless it is told not to.
    pub fn caches_prefixes(self) -> bool {
        self != Self::OpenAi
    }

    /// `owned_by` of the model list.
    pub fn owner(self) -> &'static str {
        match self {
            Self::OpenAi => "sota-loop",
            Self::Sglang => "sglang",
            Self::Vllm => "vllm",
        }
    }
}
