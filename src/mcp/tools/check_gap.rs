//! `check_gap`: how far the target is from the leader, and what follows.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::{Noted, campaign_of};
use crate::campaign;
use crate::detail::Detail;
use crate::fault::{Fault, FaultCode};
use crate::gap::{self, GapRecord, GapRequest, ScenarioGap};
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
    /// The framework whose gap is wanted; default: the campaign's target. In a
    /// campaign another one is answered and not recorded.
    #[serde(default)]
    pub target: Option<String>,
    /// A metric of the rows; default: request_throughput, by which a campaign
    /// decides. In a campaign another one is answered and not recorded.
    #[serde(default)]
    pub metric: Option<String>,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(default)]
    pub detail: Detail,
}

impl Tool for CheckGap {
    const NAME: &'static str = "check_gap";
    const TITLE: &'static str = "Decide the gap to the fastest framework";
    const DESCRIPTION: &'static str = "Compares the target framework with the leader in every scenario: paired log-ratios, 95% interval, 1% threshold, SLA first. \
        Call it after a benchmark has ended; it launches nothing. Not while the job still runs, and not for one framework alone. In a campaign the decision is recorded. \
        Returns a verdict for each scenario (ahead, tied, behind, undecided, blocked), where its time went by cause and where to look, the geomean, one decision (stop_success, rerun, fix_fairness, patch, blocked) and the next call. \
        Example: {\"campaign\": \"20260101_qwen3-8b_sota_humanize\"} or {\"rows\": \"/abs/out/candidates.jsonl\", \"target\": \"sglang\"}";
    const EXAMPLE: &'static str = r#"{"rows": "/abs/out/candidates.jsonl", "target": "sglang"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
    };
    type Arguments = Arguments;
    type Record = Noted<GapRecord>;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<Noted<GapRecord>, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(&arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: &Arguments, project_dir: Option<&Path>) -> Result<Noted<GapRecord>, Fault> {
    let mut noted = match &arguments.rows {
        Some(rows) => {
            let target = arguments.target.as_deref().unwrap_or("sglang");
            Noted::alone(compare(rows, target, arguments.metric.as_deref())?)
        }
        None => in_campaign(arguments, project_dir)?,
    };
    if arguments.detail == Detail::Summary {
        shorten(&mut noted.record);
    }
    Ok(noted)
}

/// Scenarios and warnings of a summary.
const MOST: usize = 5;

/// Leaves the scenarios in which the target is furthest behind.
fn shorten(record: &mut GapRecord) {
    for scenario in &mut record.scenarios {
        scenario.pairs.clear();
        // The attribution itself stays; what it rests on is for `full`.
        scenario.explanation = None;
    }
    let total = record.scenarios.len();
    if total > MOST {
        let gap = |scenario: &ScenarioGap| scenario.gap_pct.unwrap_or(f64::NEG_INFINITY);
        record.scenarios.sort_by(|a, b| gap(a).total_cmp(&gap(b)));
        record.scenarios.truncate(MOST);
        record.truncated = true;
    }
    let warnings = record.warnings.len();
    if warnings > MOST {
        record.warnings.truncate(MOST);
        let rest = warnings - MOST;
        record
            .warnings
            .push(format!("{rest} more warnings: detail full shows them"));
    }
}

fn in_campaign(
    arguments: &Arguments,
    project_dir: Option<&Path>,
) -> Result<Noted<GapRecord>, Fault> {
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
    let state = campaign::settle(&campaign)?;
    let target = arguments.target.as_deref();
    let question = campaign::gap_question(&state, target, arguments.metric.as_deref());
    let rows = campaign::gap_rows(&campaign, &state, &question)?;
    let mut record = gap::check(&question.request, &rows)?;
    gap::explain_gaps(&mut record, &rows);
    let noted = campaign::record_gap(&campaign, &state, &question, &record)?;
    if noted.is_none() {
        record.warnings.push(format!(
            "nothing was recorded: this campaign decides by {} of {}, and no gate looks at another question",
            state.metric(),
            state.target()
        ));
        "check_gap {}".clone_into(&mut record.next);
    }
    campaign::render(&campaign, &campaign.state()?)?;
    Ok(Noted {
        record,
        event: noted.map(|noted| noted.event.seq),
    })
}

fn compare(rows: &Path, target: &str, metric: Option<&str>) -> Result<GapRecord, Fault> {
    let rows = gap::read_rows(rows)?;
    let mut request = GapRequest::new(target);
    if let Some(metric) = metric {
        metric.clone_into(&mut request.metric);
    }
    let mut record = gap::check(&request, &rows)?;
    gap::explain_gaps(&mut record, &rows);
    Ok(record)
}
