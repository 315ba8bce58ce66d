//! The lines of `timeline.jsonl`: what one run looked like from start to end.
//!
//! Times are seconds from the moment at which the first request was sent.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shape::Shape;
use crate::disk::{self, DiskError};

/// Version of the file's layout.
pub const VERSION: u32 = 1;

/// The timeline of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub run: RunFacts,
    pub requests: Vec<RequestSpan>,
    pub windows: Vec<Window>,
    /// What the engine said of itself, by its metrics or its log; may be empty.
    pub server: Vec<ServerPoint>,
    pub shape: Shape,
}

/// What holds for the run as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    pub version: u32,
    /// Framework of the row, or what another client called its backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub framework: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub candidate_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scenario: String,
    /// Wall time of the run.
    pub duration_s: f64,
    /// Requests that succeeded, which the timeline is made of.
    pub requests: usize,
    /// Requests that failed; they are not in the timeline.
    #[serde(default)]
    pub failed: usize,
    /// Requests a second; absent for all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<f64>,
    /// Cap of requests in flight that the client kept; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// Tokens that the engine's KV cache holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_capacity_tokens: Option<u64>,
    /// Most sequences that the engine runs at once by its configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u64>,
    /// Most prompt tokens that one step computes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<u64>,
    /// Prompt tokens of the run as the engine counted them, cached ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_prompt_tokens: Option<f64>,
    /// Where the timeline comes from: `client`, `metrics`, `log`.
    pub sources: Vec<String>,
    /// What a reader must know before trusting it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestSpan {
    /// Position of the prompt in the workload.
    pub index: usize,
    pub sent: f64,
    /// First token.
    pub first: f64,
    /// Last token.
    pub end: f64,
    /// Prompt tokens.
    pub prompt: u64,
    /// Output tokens.
    pub output: u64,
    /// Times in which it got no token while the rest of the batch went on:
    /// it was preempted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
}

/// One preemption as the client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    pub from: f64,
    pub to: f64,
    /// Output tokens that had come before.
    pub tokens: u64,
}

/// A stretch of time. First tokens, ends of requests and pieces of long quiet
/// stretches bound it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    pub from: f64,
    pub to: f64,
    /// Requests sent that wait for the engine, at the mean.
    pub waiting: f64,
    /// Requests whose prompt is being computed, at the mean; an estimate.
    pub prefilling: f64,
    /// Requests that have their first token and not their last, at the mean;
    /// preempted ones are not counted.
    pub decoding: f64,
    /// Output tokens that came, first tokens excluded.
    pub tokens: f64,
    /// Sum over these tokens of the tokens before each in its sequence.
    pub context: f64,
    /// Prompt tokens of the requests whose first token came, and tokens that
    /// were computed again after a preemption.
    pub prompt_tokens: f64,
    /// First tokens that came.
    pub first_tokens: u32,
    /// Time in which no request was in flight.
    pub idle: f64,
}

/// The engine's own numbers at one moment. What it does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerPoint {
    pub t: f64,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_used_tokens: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_capacity_tokens: Option<f64>,
    /// Share of the KV cache in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f64>,
    /// Share of prompt tokens that the prefix cache held, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_hit_rate: Option<f64>,
    /// Preemptions or retractions so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Tokens that a sequence gains in a step of speculative decoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_length: Option<f64>,
    /// Share of the time in which the GPU computed, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_busy_pct: Option<f64>,
    /// Prompt tokens so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<f64>,
    /// Output tokens so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_tokens: Option<f64>,
    /// Output tokens a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_tps: Option<f64>,
}

/// Where a moment's numbers come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    #[default]
    Metrics,
    Log,
    /// The GPU's driver.
    Driver,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    Run(RunFacts),
    Shape(Shape),
    Server(ServerPoint),
    Window(Window),
    Request(RequestSpan),
}

impl Timeline {
    /// The file's content: the run, its shape, the engine's numbers, the
    /// windows, the requests.
    pub fn to_lines(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(256 * (self.windows.len() + self.requests.len()));
        let mut put = |line: Line| {
            // Plain structs of numbers and strings always serialise.
            if serde_json::to_writer(&mut text, &line).is_ok() {
                text.push(b'\n');
            }
        };
        put(Line::Run(self.run.clone()));
        put(Line::Shape(self.shape.clone()));
        for point in &self.server {
            put(Line::Server(*point));
        }
        for window in &self.windows {
            put(Line::Window(window.rounded()));
        }
        for request in &self.requests {
            put(Line::Request(request.clone()));
        }
        text
    }

    /// Writes `timeline.jsonl`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        disk::write_atomic(path, &self.to_lines())
    }
}

impl Window {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Requests that the engine works on, at the mean.
    pub fn running(&self) -> f64 {
        self.decoding + self.prefilling
    }

    fn rounded(&self) -> Self {
        let round = |value: f64| (value * 1e4).round() / 1e4;
        Self {
            waiting: round(self.waiting),
            prefilling: round(self.prefilling),
            decoding: round(self.decoding),
            tokens: round(self.tokens),
            context: self.context.round(),
            prompt_tokens: round(self.prompt_tokens),
            idle: micros(self.idle),
            ..*self
        }
    }
}

/// Rounded to a microsecond, which keeps the file small.
pub fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
