//! `analyze_pipeline`: the passes, layers and layer types of a trace.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::{Noted, campaign_of, folder_of};
use crate::campaign;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::pipeline::{self, PipelineRecord, PipelineRequest};

pub struct AnalyzePipeline;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// Id or root of a campaign; default: the one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
    #[serde(flatten)]
    pub request: PipelineRequest,
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
    type Record = Noted<PipelineRecord>;

    async fn call(
        arguments: Arguments,
        context: ToolContext,
    ) -> Result<Noted<PipelineRecord>, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<Noted<PipelineRecord>, Fault> {
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let folder = folder_of(found.as_ref(), workspace, project_dir)?;
    let mut request = arguments.request;
    let detail = request.detail;
    let Some(campaign) = found else {
        request.report = Some(folder.join("analysis/layer-pipeline.md"));
        return Ok(Noted::alone(pipeline::analyze(&request)?));
    };
    let number = campaign::settle(&campaign)?.pipelines.len() + 1;
    let report = folder.join(format!("analysis/pipelines/{number}/layer-pipeline.md"));
    request.report = Some(report.clone());
    // The log keeps every hot kernel, whatever the caller wants to see.
    request.detail = Detail::Full;
    let mut record = pipeline::analyze(&request)?;
    let noted = campaign::record_pipeline(&campaign, &record, &report)?;
    campaign::render(&campaign, &campaign.state()?)?;
    if detail == Detail::Summary {
        pipeline::shorten(&mut record, &request);
    }
    Ok(Noted {
        record,
        event: Some(noted.event.seq),
    })
}
