//! `analyze_pipeline`: the passes, layers and layer types of a trace.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::campaign_of;
use crate::campaign;
use crate::fault::Fault;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::pipeline::{self, Detail, PassChoice, PipelineRecord, PipelineRequest};
use crate::trace::Stage;

pub struct AnalyzePipeline;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Absolute path of a torch-profiler trace (.json, .json.gz, .json.zst), or of a folder that holds exactly one.
    pub trace: PathBuf,
    /// Absolute path of the model's config.json or its folder: labels and checks the layers.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// The pass to open: `auto` (a steady one) or its index from 0.
    #[serde(default)]
    pub pass: PassChoice,
    /// With `pass: auto`, the stage to choose from; default: the stage with the most steady passes.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// Layers, from 0, whose kernels are listed one by one.
    #[serde(default)]
    pub layers: Vec<u32>,
    /// Two layers, from 0, to compare kernel by kernel.
    #[serde(default)]
    pub compare_layers: Option<[u32; 2]>,
    /// Absolute path of a second trace, usually another engine's: each layer type is compared with its like there.
    #[serde(default)]
    pub compare_trace: Option<PathBuf>,
    /// The pass of the second trace: `auto` (same stage, nearest batch) or its index from 0.
    #[serde(default)]
    pub compare_pass: PassChoice,
    /// Absolute path for a small trace (.json.gz) with tracks for passes, layers and bubbles.
    #[serde(default)]
    pub perfetto: Option<PathBuf>,
    /// `summary` shortens lists and says so; `full` gives everything.
    #[serde(default)]
    pub detail: Detail,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// Id or root of a campaign; default: the one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
}

impl Tool for AnalyzePipeline {
    const NAME: &'static str = "analyze_pipeline";
    const TITLE: &'static str = "Find a trace's passes and layers";
    const DESCRIPTION: &'static str = "Finds every forward pass in a torch-profiler trace, its layers (as repeats, without naming a kernel) and their types; opens a steady pass: wall, sum and idle of each layer by category, hot kernels of each type, times for a trace viewer; compares two layers, or each layer type with another engine's trace. \
        Call it after `profile`, to find the layer and kernel to change; for whole stages use `profile`, for one kernel's counters `ncu_digest`. \
        Returns a short record and report_path (analysis/layer-pipeline.md) with all rows. \
        Example: {\"trace\": \"/abs/profiles/sglang/decode\", \"config\": \"/models/qwen3-8b\", \"compare_trace\": \"/abs/profiles/vllm/decode/rank0.pt.trace.json.gz\"}";
    const EXAMPLE: &'static str =
        r#"{"trace": "/abs/decode/1-TP-0.trace.json.gz", "config": "/models/qwen3-8b"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = PipelineRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<PipelineRecord, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<PipelineRecord, Fault> {
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let folder = match found {
        Some(campaign) => campaign.root.join("analysis"),
        None => campaign::workspace(workspace, project_dir)?.join("out/analysis"),
    };
    let record = pipeline::analyze(&PipelineRequest {
        trace: arguments.trace,
        config: arguments.config,
        pass: arguments.pass,
        stage: arguments.stage,
        layers: arguments.layers,
        compare_layers: arguments.compare_layers,
        compare_trace: arguments.compare_trace,
        compare_pass: arguments.compare_pass,
        report: Some(folder.join("layer-pipeline.md")),
        perfetto: arguments.perfetto,
        detail: arguments.detail,
    })?;
    Ok(record)
}
