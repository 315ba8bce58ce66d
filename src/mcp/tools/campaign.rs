//! `campaign`: open one, see where it stands, run its loop, end it.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run_benchmark::plan_schema;
use super::scope::campaign_of;
use crate::bench;
use crate::campaign::events::{LoopRuntime, Outcome};
use crate::campaign::{self, CampaignError, CampaignStatus, FinishRequest, OpenRequest};
use crate::fault::{Fault, FaultCode};
use crate::mcp::{Hints, Tool, ToolContext};
use crate::report;
use crate::rlcr::{self, CompanionPaths, Companions, Folders, StartRequest, StartedLoop};

pub struct Campaign;

/// What to do with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Create the campaign's folder and event log, or resume the open one.
    Open,
    /// Read where it stands, what is missing, and the next call.
    Status,
    /// Seal the baseline, write the plan, and start Humanize or the built-in rounds.
    StartLoop,
    /// Let the loop rest on the user's word; needs `reason`.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End it with an `outcome`, as far as the evidence allows, and write the
    /// final report.
    Finish,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Arguments {
    pub action: Action,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// Id or root of a campaign; default: the one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
    /// `open`: absolute path of a plan file, or the plan itself: what the other
    /// arguments leave out is taken from it.
    #[serde(default)]
    #[schemars(schema_with = "plan_schema")]
    pub plan: Option<Value>,
    /// `start_loop`: who drives the rounds; default: Humanize where it is
    /// installed with all that it needs, else the built-in runtime.
    #[serde(default)]
    pub runtime: Option<LoopRuntime>,
    /// `start_loop`: local branch that changes are compared with; default: the
    /// remote's default branch, else main, else master.
    #[serde(default)]
    pub base_branch: Option<String>,
    /// `status`, `start_loop`: folders of companions, instead of looking for them.
    #[serde(default)]
    pub companions: CompanionPaths,
    /// `finish`: how it ends.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// `pause`, `resume`, `finish`: why, in a few sentences.
    #[serde(default)]
    pub reason: Option<String>,
    /// `finish`: numbers of events that show it; `external` needs its blocker.
    #[serde(default)]
    pub evidence: Vec<u64>,
    #[serde(flatten)]
    pub open: OpenRequest,
}

/// Where the campaign stands, and what is installed beside it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CampaignRecord {
    #[serde(flatten)]
    pub status: CampaignStatus,
    /// What was found of Humanize, the Nsight Compute skill and the history,
    /// each with its path and the rule by which it was found.
    pub companions: Companions,
    /// `start_loop`: the loop that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_loop: Option<StartedLoop>,
}

impl Tool for Campaign {
    const NAME: &'static str = "campaign";
    const TITLE: &'static str = "Open a campaign, see where it stands, run its loop, end it";
    const DESCRIPTION: &'static str = "Opens or resumes a campaign (one model, one machine, one target framework), tells where it stands, starts, pauses or resumes its loop, and ends it. \
        Call it first in a session, and whenever you are unsure what comes next: `next` is the exact next call. \
        Not needed for a single benchmark without a campaign. \
        Returns id, root, phase, gates, companions, what is missing, and `next`. What cannot be inferred from the plan, config.json and the GPUs is asked for with error needs_input; a step that the evidence does not allow is error gate_refused. \
        Example: {\"action\": \"open\", \"workspace\": \"/home/me/project\", \"model\": \"/models/qwen3-8b\"}";
    const EXAMPLE: &'static str =
        r#"{"action": "open", "workspace": "/home/me/project", "model": "/models/qwen3-8b"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = CampaignRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<CampaignRecord, Fault> {
        let caller = context.clone();
        context.blocking(move || run(arguments, &caller)).await
    }
}

fn run(mut arguments: Arguments, caller: &ToolContext) -> Result<CampaignRecord, Fault> {
    let project = caller.project_dir.as_deref();
    let workspace = campaign::workspace(arguments.workspace.as_deref(), project)?;
    if arguments.action == Action::Open {
        let request = std::mem::take(&mut arguments.open);
        return open(request, &workspace, &arguments, caller);
    }
    let found = campaign_of(Some(&workspace), None, arguments.campaign.as_deref())?;
    let campaign = found.ok_or(CampaignError::None)?;
    let mut started = None;
    let mut finished = None;
    let warnings = match arguments.action {
        Action::Open | Action::Status => {
            rlcr::observe(&campaign)?;
            Vec::new()
        }
        Action::StartLoop => {
            let running = start(&campaign, &workspace, &arguments, caller)?;
            let warnings = running.warnings.clone();
            started = Some(running);
            warnings
        }
        Action::Pause => {
            let reason = arguments.reason.as_deref().ok_or_else(no_reason)?;
            rlcr::pause(&campaign, reason)?
        }
        Action::Resume => rlcr::resume(&campaign, arguments.reason.as_deref())?,
        Action::Finish => {
            finished = Some(campaign::finish(&campaign, &finish_request(&arguments)?)?);
            let mut warnings = rlcr::finished(&campaign)?;
            // A page that cannot be drawn does not undo the end.
            if let Err(error) = report::of_campaign(&campaign, None) {
                warnings.push(format!("no final_report.html: {error}"));
            }
            warnings
        }
    };
    let mut record = record(&campaign, &workspace, &arguments, caller, warnings)?;
    record.started_loop = started;
    record.status.finished = finished;
    Ok(record)
}

fn open(
    mut request: OpenRequest,
    workspace: &Path,
    arguments: &Arguments,
    caller: &ToolContext,
) -> Result<CampaignRecord, Fault> {
    if let Some(plan) = &arguments.plan {
        request = campaign::from_plan(request, &bench::plan_from(plan, workspace)?);
    }
    let opened = campaign::open(workspace, request)?;
    let campaign = &opened.campaign;
    let mut record = record(campaign, workspace, arguments, caller, opened.warnings)?;
    record.status.resumed = Some(opened.resumed);
    Ok(record)
}

fn start(
    campaign: &campaign::Campaign,
    workspace: &Path,
    arguments: &Arguments,
    caller: &ToolContext,
) -> Result<StartedLoop, Fault> {
    campaign::settle(campaign)?;
    let request = StartRequest {
        runtime: arguments.runtime,
        base_branch: arguments.base_branch.clone(),
        companions: arguments.companions.clone(),
    };
    let folders = folders(campaign, workspace, caller)?;
    let project = caller.project_dir.as_deref().unwrap_or(workspace);
    rlcr::start_loop(campaign, &request, project, &folders)
}

fn finish_request(arguments: &Arguments) -> Result<FinishRequest, Fault> {
    let outcome = arguments.outcome.ok_or_else(|| {
        Fault::new(
            FaultCode::InvalidArgument,
            "finish needs an outcome",
            r#"{"action": "finish", "outcome": "success, tied, external, at_limit or abandoned", "reason": "..."}"#,
        )
    })?;
    Ok(FinishRequest {
        outcome,
        reason: arguments.reason.clone().unwrap_or_default(),
        evidence: arguments.evidence.clone(),
    })
}

fn record(
    campaign: &campaign::Campaign,
    workspace: &Path,
    arguments: &Arguments,
    caller: &ToolContext,
    warnings: Vec<String>,
) -> Result<CampaignRecord, Fault> {
    let folders = folders(campaign, workspace, caller)?;
    let (companions, problems) = rlcr::companions(&arguments.companions, &folders);
    let mut status = campaign::status(campaign)?;
    status.warnings.extend(warnings);
    status
        .warnings
        .extend(problems.iter().map(ToString::to_string));
    Ok(CampaignRecord {
        status,
        companions,
        started_loop: None,
    })
}

fn folders(
    campaign: &campaign::Campaign,
    workspace: &Path,
    caller: &ToolContext,
) -> Result<Folders, CampaignError> {
    let state = campaign.state()?;
    let checkout = state.checkout().map(PathBuf::as_path);
    Ok(Folders::from_env(
        workspace,
        checkout,
        caller.client.as_deref(),
    ))
}

fn no_reason() -> Fault {
    Fault::new(
        FaultCode::InvalidArgument,
        "pause needs a reason",
        "say why the loop rests: campaign {\"action\": \"pause\", \"reason\": \"...\"}",
    )
}
