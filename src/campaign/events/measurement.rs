//! Benchmarks, captures and gaps.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::Standing;
use crate::gap::GapRecord;
use crate::job::JobState;

/// What a benchmark's rows may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BenchmarkLabel {
    /// A trial: its rows never count as evidence.
    Smoke,
    /// The search over every framework, before the seal.
    Baseline,
    /// The sealed workload again, at the present tree.
    Revalidation,
}

impl BenchmarkLabel {
    /// The name as rows have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Baseline => "baseline",
            Self::Revalidation => "revalidation",
        }
    }
}

/// Which source an engine of the target ran from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetSource {
    pub checkout: Option<PathBuf>,
    pub commit: Option<String>,
    /// Hash of the tree that was checked out at launch.
    pub tree: Option<String>,
    /// Whether the interpreter imports the framework from the checkout.
    pub verified: bool,
    /// Whether HEAD and the working tree stayed as they were to the end.
    pub unchanged: bool,
    /// Why one of them is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl TargetSource {
    /// The tree, where it is certain that the engine ran from it to the end.
    pub fn verified_tree(&self) -> Option<&str> {
        self.tree
            .as_deref()
            .filter(|_| self.verified && self.unchanged)
    }
}

/// Rests on the job's `spec.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkStarted {
    pub job_id: String,
    pub label: BenchmarkLabel,
    /// SHA-256 over model, data set, load, sampling and SLA of the plan.
    pub workload_sha256: String,
    /// Frameworks of the plan.
    pub frameworks: Vec<String>,
    #[serde(default)]
    pub cost: Value,
}

/// Rests on the rows up to its end and on the job's `result.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkEnded {
    pub job_id: String,
    pub label: BenchmarkLabel,
    pub state: JobState,
    pub workload_sha256: String,
    pub frameworks: Vec<FrameworkOutcome>,
    pub winners: Vec<Standing>,
    pub rows: u32,
    /// SHA-256 over the job's lines of the rows' file, as the job wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_sha256: Option<String>,
    pub launches: u32,
    #[serde(default)]
    pub source: TargetSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How one framework came out of a benchmark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrameworkOutcome {
    pub framework: String,
    /// The dialect: `sglang`, `vllm`, `tensorrt-llm`, `tokenspeed` or `openai`.
    pub engine: String,
    pub version: Option<String>,
    /// Candidates that the search may try at most.
    pub bound: u32,
    /// Candidates with a row, in the order in which they ran.
    pub candidates: Vec<String>,
    pub ok_rows: u32,
    pub failed_rows: u32,
    /// Reasons of failed rows, each once.
    pub failures: Vec<String>,
    /// `--help` texts and versions that were saved.
    pub help: Vec<PathBuf>,
    /// The `--backend` value of a TensorRT-LLM server.
    pub backend: Option<String>,
    /// Whether the plan gives a command of its own, of which no help is known.
    pub custom_command: bool,
    /// The command of its best candidate, for a shell.
    pub command: Option<String>,
}

/// Rests on the rows up to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapChecked {
    pub job_id: Option<String>,
    pub label: BenchmarkLabel,
    /// Tree of the target that the rows measured; none where no checkout is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_tree: Option<String>,
    /// Whether those rows ran from the checkout at that tree, unchanged.
    #[serde(default)]
    pub tree_verified: bool,
    /// The whole answer, without its pairs.
    pub record: GapRecord,
}

impl GapChecked {
    /// The tree, where it is certain that the rows measured it.
    pub fn verified_tree(&self) -> Option<&str> {
        self.target_tree.as_deref().filter(|_| self.tree_verified)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureStarted {
    pub job_id: String,
    pub framework: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// `prefill`, `decode` or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// Rests on the traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureEnded {
    pub job_id: String,
    pub state: JobState,
    pub framework: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Whether the sealed winner's command was running.
    #[serde(default)]
    pub sealed_winner: bool,
    /// Folder of the traces.
    pub folder: PathBuf,
    #[serde(default)]
    pub traces: Vec<PathBuf>,
    #[serde(default)]
    pub source: TargetSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
