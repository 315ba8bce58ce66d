//! What a caller asks a capture for.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CaptureError;

/// `server` that stands for the best measured command.
pub const SEALED_WINNER: &str = "sealed_winner";

/// A capture to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureRequest {
    /// The framework, as the plan names it; with a URL, its engine: sglang, vllm, tensorrt-llm or tokenspeed.
    pub framework: String,
    /// A scenario of the plan; default: the slowest, the same for every framework: in a campaign the one in which the target is furthest behind, else the one with the widest gap between the two fastest.
    #[serde(default)]
    pub scenario: Option<String>,
    #[serde(default)]
    pub stage: StageChoice,
    /// `sealed_winner` launches the sealed command again with profiler flags, without a seal the best measured one; an address such as http://127.0.0.1:30000 is profiled as it runs.
    #[serde(default = "sealed_winner")]
    pub server: String,
    #[serde(default)]
    pub graphs: GraphsChoice,
    /// Ranks whose traces are kept, lowest first, 1 to 64.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    pub ranks: u32,
    /// Steps that are recorded of each stage, 1 to 50.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 50))]
    pub steps: u32,
    /// Steps before those, 0 to 1000.
    #[serde(default = "ten")]
    #[schemars(range(max = 1000))]
    pub warmup_steps: u32,
    /// Sequences of a decode step, 1 to 256.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub batch: u32,
    /// Absolute path of the plan (or the plan itself) that was measured; default: the one that the measuring job recorded.
    #[serde(default)]
    #[schemars(schema_with = "plan_schema")]
    pub plan: Option<Value>,
    /// Absolute path of the candidates.jsonl with the winner; default: the campaign's, else out/candidates.jsonl of the workspace.
    #[serde(default)]
    pub rows: Option<PathBuf>,
    /// Prompt tokens of a prefill; default: the scenario's.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub input_len: Option<u32>,
    /// Output tokens of a decode; default: the scenario's.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub output_len: Option<u32>,
    /// With a URL: the folder that the server was told to write traces to, where its start request cannot name one (vLLM's torch_profiler_dir).
    #[serde(default)]
    pub trace_dir: Option<PathBuf>,
    /// With a URL: the GPUs that the server uses, locked while it is profiled; default: those of the plan.
    #[serde(default)]
    pub gpu_ids: Option<Vec<u32>>,
    #[serde(default)]
    pub keep_traces: KeepTraces,
    /// Seconds to wait for whole trace files after recording, 5 to 3600.
    #[serde(default = "trace_timeout")]
    #[schemars(range(min = 5, max = 3600))]
    pub trace_timeout_s: u32,
    /// Capture anew even when the same capture of a launched command is done.
    #[serde(default)]
    pub again: bool,
}

/// Which steps to record.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum StageChoice {
    Prefill,
    Decode,
    #[default]
    Both,
}

/// Whether a run with CUDA graphs off is added.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum GraphsChoice {
    /// As the command has them.
    #[default]
    On,
    /// The same, then a mapping run without graphs.
    Both,
}

/// Which traces stay on disk; reports always do.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum KeepTraces {
    #[default]
    All,
    /// Those of this round: earlier rounds' go once this capture is analysed.
    Round,
    /// As `round`, and of this round only the leading framework's.
    Leader,
}

/// One recorded stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapturedStage {
    Prefill,
    Decode,
}

/// Whether the run had CUDA graphs; also the name of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Graphs {
    #[serde(rename = "graphs-on")]
    On,
    #[serde(rename = "graphs-off")]
    Off,
}

impl CapturedStage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

impl Graphs {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "graphs-on",
            Self::Off => "graphs-off",
        }
    }
}

impl StageChoice {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Both => "both",
        }
    }

    pub fn stages(self) -> Vec<CapturedStage> {
        match self {
            Self::Prefill => vec![CapturedStage::Prefill],
            Self::Decode => vec![CapturedStage::Decode],
            Self::Both => vec![CapturedStage::Prefill, CapturedStage::Decode],
        }
    }
}

impl CaptureRequest {
    /// A request with every default.
    pub fn new(framework: impl Into<String>) -> Self {
        Self {
            framework: framework.into(),
            scenario: None,
            stage: StageChoice::default(),
            server: sealed_winner(),
            graphs: GraphsChoice::default(),
            ranks: one(),
            steps: five(),
            warmup_steps: ten(),
            batch: one(),
            plan: None,
            rows: None,
            input_len: None,
            output_len: None,
            trace_dir: None,
            gpu_ids: None,
            keep_traces: KeepTraces::default(),
            trace_timeout_s: trace_timeout(),
            again: false,
        }
    }

    /// The address of a running server, where one is asked for.
    pub(super) fn url(&self) -> Option<&str> {
        (self.server != SEALED_WINNER).then_some(self.server.as_str())
    }

    /// Refuses what is out of range or does not go together.
    pub(super) fn check(&self) -> Result<(), CaptureError> {
        for (name, value, least, most) in [
            ("ranks", self.ranks, 1, 64),
            ("steps", self.steps, 1, 50),
            ("warmup_steps", self.warmup_steps, 0, 1000),
            ("batch", self.batch, 1, 256),
            ("trace_timeout_s", self.trace_timeout_s, 5, 3600),
            ("input_len", self.input_len.unwrap_or(1), 1, u32::MAX),
            ("output_len", self.output_len.unwrap_or(1), 1, u32::MAX),
        ] {
            if !(least..=most).contains(&value) {
                return Err(CaptureError::invalid(
                    format!("{name} is {value}; it must be {least} to {most}"),
                    "leave it out for the default",
                ));
            }
        }
        let url = self.url();
        if url.is_some_and(|url| !url.starts_with("http://")) {
            return Err(CaptureError::invalid(
                format!("server is `{}`", self.server),
                "it is sealed_winner, or an address such as http://127.0.0.1:30000",
            ));
        }
        Ok(())
    }
}

fn sealed_winner() -> String {
    SEALED_WINNER.to_owned()
}

fn one() -> u32 {
    1
}

fn five() -> u32 {
    5
}

fn ten() -> u32 {
    10
}

fn trace_timeout() -> u32 {
    180
}

fn plan_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "description": "Absolute path of the plan (or the plan itself) that was measured; default: the one that the measuring job recorded.",
        "anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}],
    })
}
