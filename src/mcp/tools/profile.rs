//! `profile`: what profiler traces say.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::campaign_of;
use crate::campaign;
use crate::fault::Fault;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::triage::{self, Detail, TriageRecord, TriageRequest};

pub struct Profile;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Absolute path of a trace file (.json, .json.gz, .json.zst) or of a folder of them.
    pub input: PathBuf,
    /// Trace or folder of the same engine and model without CUDA graphs: gives replayed kernels their source lines.
    #[serde(default)]
    pub mapping_input: Option<PathBuf>,
    /// Trace or folder of another engine on the same workload, to compare with.
    #[serde(default)]
    pub compare_input: Option<PathBuf>,
    /// The engine that wrote `input`: sglang, vllm, tensorrt-llm or tokenspeed; told from the trace when absent.
    #[serde(default)]
    pub framework: Option<String>,
    /// Kernels below this share of their stage's kernel time are summed up in one row. Percent, 0 to 100.
    #[serde(default = "default_min_share")]
    pub min_share_pct: f64,
    /// The rank to analyse where a folder holds several; default the lowest.
    #[serde(default)]
    pub rank: Option<u32>,
    /// `summary` keeps the tables short, `full` gives every row.
    #[serde(default)]
    pub detail: Detail,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// Id or root of a campaign; default: the one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
}

fn default_min_share() -> f64 {
    1.0
}

impl Tool for Profile {
    const NAME: &'static str = "profile";
    const TITLE: &'static str = "Analyse profiler traces";
    const DESCRIPTION: &'static str = "Reads torch-profiler traces of a serving engine and tells, for prefill, decode and mixed steps, where the time goes: wall, busy and idle by cause, kernels with their source lines, overlap, fusions in use or missing; with compare_input, two engines side by side by class of work. \
        Call it when check_gap says that step time is behind; not for the layers of one pass (analyze_pipeline) and not for counters of one kernel (ncu_digest). It launches nothing. \
        Returns short tables and report_path with all rows. \
        Example: {\"input\": \"/abs/profiles/sglang/decode\", \"mapping_input\": \"/abs/profiles/sglang-graphs-off/decode\", \"compare_input\": \"/abs/profiles/vllm/decode\"}";
    const EXAMPLE: &'static str = r#"{"input": "/abs/profiles/sglang/decode"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = TriageRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<TriageRecord, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<TriageRecord, Fault> {
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let folder = match found {
        Some(campaign) => campaign.root.join("profiles"),
        None => campaign::workspace(workspace, project_dir)?.join("out/profiles"),
    };
    let folder = folder.join(name_of(&arguments.input));
    let detail = arguments.detail;
    let full = triage::analyze(&TriageRequest {
        input: arguments.input,
        mapping_input: arguments.mapping_input,
        compare_input: arguments.compare_input,
        framework: arguments.framework,
        min_share_pct: Some(arguments.min_share_pct),
        rank: arguments.rank,
        detail: Detail::Full,
    })?;
    let report = triage::write_report(&folder, &full)?;
    let mut record = match detail {
        Detail::Summary => full.summary(),
        Detail::Full => full,
    };
    record.report_path = Some(report.markdown);
    Ok(record)
}

/// The report's folder: the last two parts of the trace's path.
fn name_of(input: &Path) -> String {
    let mut parts: Vec<String> = input
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let kept = parts.split_off(parts.len().saturating_sub(2));
    let name = kept.join("-");
    let name = name.trim_end_matches(".gz").trim_end_matches(".json");
    if name.is_empty() {
        "trace".to_owned()
    } else {
        name.to_owned()
    }
}
