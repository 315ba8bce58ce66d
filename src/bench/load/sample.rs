//! What one request saw, raw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the number of output tokens comes from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TokenCountSource {
    /// `usage` on every chunk: the tokens of each chunk are known.
    ContinuousUsage,
    /// `meta_info.completion_tokens` on every chunk of SGLang's `/generate`.
    MetaInfo,
    /// `usage` once: the total is known, not that of each chunk.
    Usage,
    /// The engine gave no count: chunks with content were counted instead,
    /// which is wrong wherever a chunk holds more or less than one token.
    Chunks,
}

/// Which chunk was taken as the first token.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TtftRule {
    /// The first at which the engine's count of output tokens is above 0.
    FirstCountedToken,
    /// The first with text, reasoning or a tool call.
    FirstContent,
}

/// Why a request failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// No connection could be opened.
    Connect,
    /// The connection closed before the first byte of an answer.
    ClosedBeforeAnswer,
    /// A status from 400 to 499.
    Http4xx,
    /// A status from 500 to 599, or another that is no success.
    Http5xx,
    /// The connection broke in the middle of the answer.
    Disconnect,
    /// The stream carried an error, or the engine aborted the request.
    InStreamError,
    /// The stream ended without a finish reason.
    Truncated,
    /// The engine stopped because a value was not a number.
    Nan,
    /// The answer is no event stream, or an event is no JSON of a known form.
    Malformed,
    /// The answer was complete but held no token.
    Empty,
    /// The time limit passed.
    Timeout,
    /// The run was cancelled while the request was under way.
    Cancelled,
}

/// A failure and the engine's own words, cut at 4,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestError {
    pub class: ErrorClass,
    pub message: String,
}

/// One request. Times are nanoseconds: those of the schedule from the start
/// of the run, those of the answer from `sent_ns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Position of the prompt in the workload.
    pub index: usize,
    /// When the schedule wanted it sent.
    pub due_ns: u64,
    /// When the client got to it.
    pub woke_ns: u64,
    /// When the concurrency cap let it go.
    pub released_ns: u64,
    /// When it was handed to an open connection; after a retry, to the fresh one.
    pub sent_ns: u64,
    /// Time spent on opening a connection; 0 when one was reused.
    pub connect_ns: u64,
    /// Whether the connection had served a request before.
    pub reused: bool,
    /// Whether it was sent a second time because the first connection was stale.
    pub retried: bool,
    /// HTTP status; absent when no answer began.
    pub status: Option<u16>,
    /// Tokens of the prompt as sent; absent where the engine tokenizes it.
    pub sent_prompt_tokens: Option<u32>,
    /// Requested output tokens.
    pub requested_tokens: u32,
    /// First token; absent when none came.
    pub first_token_ns: Option<u64>,
    /// Last chunk of the answer proper, bookkeeping chunks excluded.
    pub end_ns: Option<u64>,
    /// When the client was through with it, failed or not.
    pub finished_ns: u64,
    /// Arrival of each chunk that carries a token.
    pub chunk_ns: Vec<u64>,
    /// Tokens in each of those chunks; absent where the engine does not say.
    pub chunk_tokens: Option<Vec<u32>>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// Prompt tokens as the engine counts them.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens served from the engine's prefix cache, where it says so.
    pub cached_tokens: Option<u64>,
    pub token_count_source: Option<TokenCountSource>,
    pub ttft_rule: Option<TtftRule>,
    pub finish_reason: Option<String>,
    /// Absent when the request succeeded.
    pub error: Option<RequestError>,
}

impl Sample {
    /// Whether the answer came whole.
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }

    /// Prompt tokens as the engine counts them, else as they were sent.
    pub fn prompt_len(&self) -> Option<u64> {
        self.prompt_tokens
            .or(self.sent_prompt_tokens.map(u64::from))
    }

    /// Tokens in the first chunk that carries any: 1 unless the engine says more.
    pub fn first_chunk_tokens(&self) -> u64 {
        self.chunk_tokens
            .as_ref()
            .and_then(|tokens| tokens.first())
            .map_or(1, |tokens| u64::from(*tokens))
    }

    /// How late the client itself was: from due to sent, less the wait for
    /// the concurrency cap and for the connection.
    pub fn dispatch_lag_ns(&self) -> u64 {
        let woke_late = self.woke_ns.saturating_sub(self.due_ns);
        let sent_late = self.sent_ns.saturating_sub(self.released_ns);
        woke_late + sent_late.saturating_sub(self.connect_ns)
    }
}
