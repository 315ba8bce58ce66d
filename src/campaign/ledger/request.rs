//! What `update_ledger` is asked: one kind, and the fields of that kind.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::campaign::events::{
    AttemptOutcome, AttemptTarget, BlockerCause, Citation, RejectedIdea, RootCause, SourceIdea,
};
use crate::fault::{Fault, FaultCode};

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// Why the target is slower, with rows that show it.
    RootCause,
    /// A way to be faster, found in somebody's source.
    SourceIdea,
    /// A change to the target: opened, checked, closed.
    Attempt,
    /// An idea that evidence speaks against.
    RejectedIdea,
    /// Something outside that the server can see for itself.
    Blocker,
    /// The round is over.
    RoundEnd,
}

/// One entry, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum LedgerEntry {
    RootCause(RootCause),
    SourceIdea(SourceIdea),
    Attempt(Box<AttemptRequest>),
    RejectedIdea(RejectedIdea),
    Blocker(BlockerRequest),
    RoundEnd(RoundEndRequest),
}

/// A step of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStep {
    /// On a clean tree, before the first commit.
    Open,
    /// Run its tests and the greedy comparison as a job, or follow that job. On
    /// the base tree: record the outputs to compare with.
    Check,
    /// Accept HEAD as it is.
    Done,
    /// Give it up; HEAD's tree must be the last accepted one again.
    Rejected,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptRequest {
    pub state: AttemptStep,
    /// The open attempt; default: the one that is open.
    #[serde(default)]
    pub id: Option<String>,
    /// With `open`: what it will change.
    #[serde(default)]
    pub target: Option<AttemptTarget>,
    /// With `open`: rows that call for it.
    #[serde(default)]
    pub cites: Vec<Citation>,
    /// With `open`: source ideas that it tries, by event number.
    #[serde(default)]
    pub ideas: Vec<u64>,
    /// With `open`: what should become faster, and by how much.
    #[serde(default)]
    pub expected: Option<String>,
    /// With `open`: commands that test it, each an argument array, run in the
    /// checkout with the engine's environment.
    #[serde(default)]
    pub tests: Vec<Vec<String>>,
    /// With `open`: the rule of the counter digest whose edit it is.
    #[serde(default)]
    pub edit_rule: Option<String>,
    /// With `done` or `rejected`: what came of it.
    #[serde(default)]
    pub outcome: Option<AttemptOutcome>,
    /// With `done` or `rejected`: what was changed and learned.
    #[serde(default)]
    pub summary: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockerRequest {
    pub cause: BlockerCause,
    /// In a sentence: what cannot be done.
    pub detail: String,
    /// The framework that it stops, where it is one.
    #[serde(default)]
    pub framework: Option<String>,
    /// Absolute path that should exist and does not.
    #[serde(default)]
    pub missing_path: Option<PathBuf>,
    /// Command that fails, as an argument array; the server runs it now. It must
    /// be a program that can know of the cause, and its output must say so:
    /// `references/blocker-causes.toml`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Time limit of that command in seconds, 1 to 600.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_s: u32,
    /// Job of the server that failed, or in which every row of `framework` did,
    /// for a reason that shows the cause.
    #[serde(default)]
    pub job_id: Option<String>,
}

fn default_limit() -> u32 {
    60
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundEndRequest {
    /// What the round tried and learned.
    pub summary: String,
    /// The patch that is planned next; absent when nothing is left to try.
    #[serde(default)]
    pub next_patch: Option<String>,
}

impl LedgerEntry {
    /// Decodes the fields of a kind; a failure shows that kind's fields and an example.
    pub fn decode(kind: LedgerKind, fields: Map<String, Value>) -> Result<Self, Fault> {
        Ok(match kind {
            LedgerKind::RootCause => Self::RootCause(decode(kind, fields)?),
            LedgerKind::SourceIdea => Self::SourceIdea(decode(kind, fields)?),
            LedgerKind::Attempt => Self::Attempt(Box::new(decode(kind, fields)?)),
            LedgerKind::RejectedIdea => Self::RejectedIdea(decode(kind, fields)?),
            LedgerKind::Blocker => Self::Blocker(decode(kind, fields)?),
            LedgerKind::RoundEnd => Self::RoundEnd(decode(kind, fields)?),
        })
    }
}

impl LedgerKind {
    pub const ALL: [Self; 6] = [
        Self::RootCause,
        Self::SourceIdea,
        Self::Attempt,
        Self::RejectedIdea,
        Self::Blocker,
        Self::RoundEnd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RootCause => "root_cause",
            Self::SourceIdea => "source_idea",
            Self::Attempt => "attempt",
            Self::RejectedIdea => "rejected_idea",
            Self::Blocker => "blocker",
            Self::RoundEnd => "round_end",
        }
    }

    /// A whole entry of the kind.
    pub fn example(self) -> &'static str {
        match self {
            Self::RootCause => {
                r#"{"kind": "root_cause", "stage": "decode", "cause": "kernel", "summary": "RMSNorm and the residual add are two kernels", "rows": [{"event": 14, "table": "kernel", "part": "decode", "row": "rmsnorm_kernel"}, {"event": 12, "table": "attribution", "part": "chat", "row": "decode_step"}], "source_paths": [{"path": "python/sglang/srt/layers/layernorm.py", "lines": [40, 70]}], "cards": [{"framework": "sglang", "pr": 4321}, {"framework": "vllm", "pr": 8765}], "layers": "every dense layer runs two norms"}"#
            }
            Self::SourceIdea => {
                r#"{"kind": "source_idea", "claim": "vLLM fuses the residual add into RMSNorm", "profiler_rows": [{"event": 14, "table": "fusion", "row": "residual_rmsnorm"}], "cards": [{"framework": "vllm", "pr": 8765}], "provenance": [{"repo": "/src/vllm", "commit": "0123456789abcdef0123456789abcdef01234567", "path": "csrc/layernorm_kernels.cu", "lines": [120, 180], "licence": "Apache-2.0"}]}"#
            }
            Self::Attempt => {
                r#"{"kind": "attempt", "state": "open", "target": {"change": "fuse the residual add into RMSNorm", "files": ["python/sglang/srt/layers/layernorm.py"]}, "cites": [{"event": 14, "table": "kernel", "row": "rmsnorm_kernel"}], "expected": "400 us less a decode step", "tests": [["python", "-m", "pytest", "test/srt/test_layernorm.py"]]}; later {"kind": "attempt", "state": "done", "outcome": "partial_win", "summary": "one kernel less a layer"}"#
            }
            Self::RejectedIdea => {
                r#"{"kind": "rejected_idea", "claim": "a faster GEMM", "reason": "both engines run the same cuBLAS kernel", "evidence": [{"event": 14, "table": "kernel", "part": "decode", "row": "nvjet_gemm"}]}"#
            }
            Self::Blocker => {
                r#"{"kind": "blocker", "cause": "counter_permission", "detail": "ncu may not read counters here", "command": ["ncu", "--set", "basic", "/abs/one-kernel"]}"#
            }
            Self::RoundEnd => {
                r#"{"kind": "round_end", "summary": "fused RMSNorm: +2.1%", "next_patch": "fuse QK norm and RoPE"}"#
            }
        }
    }

    /// The fields of the kind as a JSON Schema.
    pub fn schema(self) -> schemars::Schema {
        match self {
            Self::RootCause => schemars::schema_for!(RootCause),
            Self::SourceIdea => schemars::schema_for!(SourceIdea),
            Self::Attempt => schemars::schema_for!(AttemptRequest),
            Self::RejectedIdea => schemars::schema_for!(RejectedIdea),
            Self::Blocker => schemars::schema_for!(BlockerRequest),
            Self::RoundEnd => schemars::schema_for!(RoundEndRequest),
        }
    }
}

fn decode<T: DeserializeOwned>(kind: LedgerKind, fields: Map<String, Value>) -> Result<T, Fault> {
    let value = Value::Object(fields);
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let place = match error.path().to_string() {
            path if path == "." => String::new(),
            path => format!(" at `{path}`"),
        };
        Fault::new(
            FaultCode::InvalidArgument,
            format!(
                "update_ledger, kind {}: {}{place}",
                kind.name(),
                error.inner()
            ),
            format!(
                "fields of this kind: {}. example: {}",
                fields_of(kind),
                kind.example()
            ),
        )
    })
}

/// The names of a kind's fields; those that may be left out end with `?`.
fn fields_of(kind: LedgerKind) -> String {
    let schema = kind.schema().to_value();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let names = schema["properties"].as_object();
    names
        .into_iter()
        .flatten()
        .map(|(name, _)| match required.contains(&name.as_str()) {
            true => name.clone(),
            false => format!("{name}?"),
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// A failure of an entry's own content.
pub(super) fn invalid(kind: LedgerKind, problem: impl std::fmt::Display) -> Fault {
    Fault::new(
        FaultCode::InvalidArgument,
        format!("update_ledger, kind {}: {problem}", kind.name()),
        format!("example: {}", kind.example()),
    )
}
