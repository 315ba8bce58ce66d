//! The requests of a benchmark: what is sent, fixed by a seed or a file.

mod error;
mod fingerprint;
mod jsonl;
mod random;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::WorkloadError;
pub use fingerprint::workload_sha256;
pub use jsonl::read_prompts;
pub use random::{LenRange, RandomPrompts, random_prompts};

/// One request's prompt and how many tokens it asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    pub input: Input,
    /// Output tokens to ask for.
    pub output_len: u32,
}

/// The prompt itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Token ids: the length is exact whatever the tokenizer.
    Ids(Vec<u32>),
    /// Text, tokenized by the engine.
    Text(String),
    /// Chat messages, put through the engine's template.
    Messages(serde_json::Value),
}
