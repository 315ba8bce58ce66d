//! `check_gap`: how far the target is from the leader, and what follows.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::scope::{Detail, campaign_of};
use crate::campaign::{self, EventKind};
use crate::fault::{Fault, FaultCode};
use crate::gap::{self, GapRecord, GapRequest};
use crate::mcp::{Hints, Tool, ToolContext};

pub struct CheckGap;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Id or root of a campaign; default: the one open campaign of the
    /// workspace when `rows` is not given.
    #[serde(default)]
    pub campaign: Option<String>,
    /// Absolute path of a candidates.jsonl, for rows outside a campaign.
    #[serde(default)]
    pub rows: Option<PathBuf>,
    /// The framework whose gap is wanted; default: the campaign's target.
    #[serde(default)]
    pub target: Option<String>,
    /// A metric of the rows.
    #[serde(default = "default_metric")]
    pub metric: String,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(default)]
    pub detail: Detail,
}

fn default_metric() -> String {
    "request_throughput".to_owned()
}

impl Tool for CheckGap {
    const NAME: &'static str = "check_gap";
    const TITLE: &'static str = "Decide the gap to the fastest framework";
    const DESCRIPTION: &'static str = "Compares the target framework with the leader in every scenario: paired log-ratios, 95% interval, 1% threshold, SLA first. \
        Call it after a benchmark has ended; it launches nothing. Not while the job still runs, and not for one framework alone. In a campaign the decision is recorded. \
        Returns a verdict for each scenario (ahead, tied, behind, undecided, blocked), the geomean, one decision (stop_success, rerun, fix_fairness, patch, blocked) and the next call. \
        Example: {\"campaign\": \"20260101_qwen3-8b_sota_humanize\"} or {\"rows\": \"/abs/out/candidates.jsonl\", \"target\": \"sglang\"}";
    const EXAMPLE: &'static str = r#"{"rows": "/abs/out/candidates.jsonl", "target": "sglang"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
    };
    type Arguments = Arguments;
    type Record = GapRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<GapRecord, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(&arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: &Arguments, project_dir: Option<&Path>) -> Result<GapRecord, Fault> {
    let mut record = match &arguments.rows {
        Some(rows) => {
            let target = arguments.target.as_deref().unwrap_or("sglang");
            compare(rows, target, &arguments.metric)?
        }
        None => in_campaign(arguments, project_dir)?,
    };
    if arguments.detail == Detail::Summary {
        for scenario in &mut record.scenarios {
            scenario.pairs.clear();
        }
    }
    Ok(record)
}

fn in_campaign(arguments: &Arguments, project_dir: Option<&Path>) -> Result<GapRecord, Fault> {
    let found = campaign_of(
        arguments.workspace.as_deref(),
        project_dir,
        arguments.campaign.as_deref(),
    )?;
    let Some(campaign) = found else {
        return Err(Fault::new(
            FaultCode::InvalidArgument,
            "neither rows nor a campaign is given, and the workspace has none",
            CheckGap::EXAMPLE,
        ));
    };
    let events = campaign.log().read()?;
    let recorded = events
        .iter()
        .find(|event| event.kind == EventKind::CampaignOpened)
        .and_then(|event| event.body["inputs"]["target_framework"].as_str());
    let target = arguments.target.as_deref().or(recorded).unwrap_or("sglang");
    let rows = campaign.rows_path();
    let record = compare(&rows, target, &arguments.metric)?;
    let verdicts: Vec<_> = record
        .scenarios
        .iter()
        .map(|scenario| {
            json!({"scenario": scenario.scenario, "verdict": scenario.verdict, "gap_pct": scenario.gap_pct})
        })
        .collect();
    let body = json!({
        "target": target,
        "metric": record.metric,
        "decision": record.decision,
        "scenarios": verdicts,
    });
    campaign::note(&campaign, EventKind::GapChecked, body, vec![rows])?;
    Ok(record)
}

fn compare(rows: &Path, target: &str, metric: &str) -> Result<GapRecord, Fault> {
    let rows = gap::read_rows(rows)?;
    let request = GapRequest {
        metric: metric.to_owned(),
        ..GapRequest::new(target)
    };
    Ok(gap::check(&request, &rows)?)
}
