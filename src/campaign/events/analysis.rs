//! What traces and counters said: the rows that later events may cite.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::measurement::TargetSource;
use crate::ncu;
use crate::pipeline::HotKernel;
use crate::trace::{KernelCategory, Stage};
use crate::triage::{FusionRow, StageComparison};

/// Three tables of one engine. Rests on the report and the trace files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileRecorded {
    pub framework: String,
    /// The capture job whose folder holds the input; none for a supplied trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_job: Option<String>,
    /// Why a trace that the server did not capture may count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplied: Option<Supplied>,
    /// Source of the engine, as the capture saw it.
    #[serde(default)]
    pub source: TargetSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework_version: Option<String>,
    pub input: PathBuf,
    pub report_path: PathBuf,
    pub stages: Vec<StageBrief>,
    /// The engine on the other side of the comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_framework: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparison: Vec<StageComparison>,
}

/// Why live capture was not possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplied {
    /// Number of the `blocker` or failed `capture_ended` event that shows it.
    pub event: u64,
}

/// One stage of a profile: every row of at least 1%.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageBrief {
    pub stage: Stage,
    pub steps: u32,
    pub wall_us: f64,
    pub busy_us: f64,
    pub kernels: Vec<KernelBrief>,
    pub overlap: Vec<OverlapBrief>,
    pub fusion: Vec<FusionRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelBrief {
    pub name: String,
    pub category: KernelCategory,
    pub share_pct: f64,
    pub gpu_time_us: f64,
    /// Its most likely place, `path:line function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlapBrief {
    pub name: String,
    pub exposed_share_pct: f64,
    pub advice: String,
}

/// Layers of one pass. Rests on the report and the trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineRecorded {
    pub trace: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// Source of the engine, where a capture of the server made the trace.
    #[serde(default)]
    pub source: TargetSource,
    /// Why a trace that the server did not capture may count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplied: Option<Supplied>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    pub chosen_pass: u32,
    pub layers_per_pass: u32,
    pub layer_types: Vec<LayerTypeBrief>,
    pub hot_kernels: Vec<HotKernelBrief>,
    pub report_path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerTypeBrief {
    pub r#type: String,
    pub count: u32,
    pub avg_wall_us: f64,
    pub pass_share_pct: f64,
    pub representative: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HotKernelBrief {
    pub r#type: String,
    pub name: String,
    pub category: KernelCategory,
    pub share_pct: f64,
    pub avg_us: f64,
}

impl From<&HotKernel> for HotKernelBrief {
    fn from(kernel: &HotKernel) -> Self {
        Self {
            r#type: kernel.r#type.clone(),
            name: kernel.name.clone(),
            category: kernel.category,
            share_pct: kernel.share_pct,
            avg_us: kernel.avg_us,
        }
    }
}

/// A counter digest. Rests on the reports and the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NcuRecorded {
    pub baseline: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<PathBuf>,
    pub kernels: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<ncu::Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_edit: Option<ProposedEdit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_path: Option<PathBuf>,
}

/// The one edit that a digest proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposedEdit {
    pub rule: String,
    pub kernel: String,
    /// The kernel is at its roof: nothing is left to edit.
    pub stop: bool,
    pub change: String,
}
