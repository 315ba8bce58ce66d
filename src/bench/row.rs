//! One row of `candidates.jsonl`: a candidate, scenario, load and repeat.
//!
//! The layout is the published one of earlier benchmark scripts, so that they
//! read it, with further fields. What was not measured is null or absent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::metrics::{MetricExtras, RowMetrics, SloOutcome};
use super::plan::Sla;
use super::row_place::RowPlace;
use super::session::Phase;
use crate::engine::{Counts, Settings};
use crate::launch::GpuTelemetry;

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    Ok,
    #[default]
    Failed,
    Oom,
    Timeout,
    Skipped,
}

impl Row {
    pub fn is_ok(&self) -> bool {
        self.status == RowStatus::Ok
    }
}

impl std::fmt::Display for RowStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
        })
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub framework: String,
    pub framework_version: Option<String>,
    pub framework_commit: Option<String>,
    pub candidate_id: String,
    pub model: String,
    pub status: RowStatus,
    pub failure_reason: Option<String>,
    /// 0 in the search, 1 and up in repeats.
    pub repeat: u32,
    pub phase: Phase,
    pub label: Option<String>,
    pub job_id: String,
    /// SHA-256 over all that decides what this row measures.
    pub key: String,
    /// When the run ended, UTC.
    pub time: String,
    /// Which launch of the job served this row, from 1.
    pub launch: Option<u32>,
    pub hardware: RowHardware,
    /// Where it was measured; absent: on this host itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<RowPlace>,
    pub workload: Workload,
    pub sla: RowSla,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<RowMetrics>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<MetricExtras>,
    /// The server's own count of generated tokens over the run.
    #[serde(default)]
    pub server_generation_tokens_delta: Option<f64>,
    /// Everything that the server itself counted over the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_counts: Option<Counts>,
    /// What the server says it runs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_settings: Option<Settings>,
    /// Throughputs divided by the GPUs of the candidate; absent without GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_gpu: Option<PerGpu>,
    /// The client program whose numbers these are; none: sota-loop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The checkout that the server ran from, where the plan names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RowSource>,
    /// What the GPUs did during the run, where NVML can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuTelemetry>,
    pub timing: Timing,
    pub spec_decode: Value,
    pub phase_metrics: Value,
    pub cache: RowCache,
    pub memory: Value,
    pub normalization: Value,
    /// The server's command, quoted for a shell, secrets replaced.
    pub server_command: String,
    pub server_argv: Vec<String>,
    pub benchmark_command: String,
    pub validated_cli_flags: Value,
    pub artifacts: Artifacts,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowHardware {
    pub gpu_model: Option<String>,
    pub gpu_count: u32,
    pub visible_devices: Vec<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    pub kind: String,
    pub scenario: String,
    pub dataset_path: Option<PathBuf>,
    /// Asked prompt tokens; none where prompts come from a file.
    pub input_len: Option<u32>,
    /// Asked output tokens; none where prompts come from a file.
    pub output_len: Option<u32>,
    pub input_len_p50: Option<f64>,
    pub input_len_p95: Option<f64>,
    pub output_len_p50: Option<f64>,
    pub output_len_p95: Option<f64>,
    pub num_prompts: u32,
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<u32>,
    pub endpoint: String,
    /// SHA-256 over the prompts of this repeat.
    pub workload_sha256: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowSla {
    #[serde(flatten)]
    pub limits: Sla,
    pub passed: bool,
    /// Which limits were broken, with value and limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// Share of requests within the limits, with its interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<SloOutcome>,
}

/// Throughputs of one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PerGpu {
    pub request_throughput: Option<f64>,
    pub output_token_throughput: Option<f64>,
    pub total_token_throughput: Option<f64>,
}

/// A framework's own sources as they stood when its server was launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RowSource {
    pub checkout: PathBuf,
    /// Tree object of HEAD.
    pub tree: String,
    pub commit: String,
    /// Whether anything differs from HEAD, untracked files included.
    pub dirty: bool,
    /// The file from which the interpreter imports the framework.
    pub module_path: Option<PathBuf>,
    /// SHA-256 of what differs from HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty_sha256: Option<String>,
    /// Log of the build at this tree, where the plan has build steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_log: Option<PathBuf>,
}

/// Seconds of the session that this row belongs to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// From launch to ready; the same launch may serve several rows.
    pub ready_s: Option<f64>,
    pub warmup_passes: u32,
    pub warmup_s: f64,
    /// Whether two warm-up passes agreed.
    pub warmup_settled: Option<bool>,
    pub run_s: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowCache {
    pub prefix_cache_enabled: Option<bool>,
    pub prefix_cache_hit_rate: Option<f64>,
    pub kv_cache_tokens: Option<u64>,
    pub kv_cache_utilization: Option<f64>,
    /// Whether the prefix cache was emptied before the run.
    pub flushed: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Artifacts {
    pub server_log: Option<PathBuf>,
    pub raw_result: Option<PathBuf>,
    /// What the run looked like over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<PathBuf>,
    pub server_help: Option<PathBuf>,
    pub benchmark_help: Option<PathBuf>,
}
