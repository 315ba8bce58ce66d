//! `campaign`: open one, or see where it stands.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scope::campaign_of;
use crate::campaign::events::Outcome;
use crate::campaign::{self, CampaignError, CampaignStatus, FinishRequest, OpenRequest};
use crate::fault::{Fault, FaultCode};
use crate::mcp::{Hints, Tool, ToolContext};
use crate::report;

pub struct Campaign;

/// What to do with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Create the campaign's folder and event log, or resume the open one.
    Open,
    /// Read where it stands, what is missing, and the next call.
    Status,
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
    /// With `finish`: how it ends.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// With `finish`: why, in a few sentences.
    #[serde(default)]
    pub reason: Option<String>,
    /// With `finish`: numbers of events that show it; `external` needs its blocker.
    #[serde(default)]
    pub evidence: Vec<u64>,
    #[serde(flatten)]
    pub open: OpenRequest,
}

impl Tool for Campaign {
    const NAME: &'static str = "campaign";
    const TITLE: &'static str = "Open a campaign or see where it stands";
    const DESCRIPTION: &'static str = "Opens or resumes a campaign (one model, one machine, one target framework), or tells where it stands. \
        Call it first in a session, and whenever you are unsure what comes next: `next` is the exact next call. \
        Not needed for a single benchmark without a campaign. \
        Returns id, root, phase, what is missing, and `next`. What cannot be inferred from config.json and the GPUs is asked for with error needs_input. \
        Example: {\"action\": \"open\", \"workspace\": \"/home/me/project\", \"model\": \"/models/qwen3-8b\"}";
    const EXAMPLE: &'static str =
        r#"{"action": "open", "workspace": "/home/me/project", "model": "/models/qwen3-8b"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = CampaignStatus;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<CampaignStatus, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(
    arguments: Arguments,
    project_dir: Option<&std::path::Path>,
) -> Result<CampaignStatus, Fault> {
    let workspace = arguments.workspace.as_deref();
    match arguments.action {
        Action::Open => {
            let workspace = campaign::workspace(workspace, project_dir)?;
            let (campaign, resumed) = campaign::open(&workspace, arguments.open)?;
            let mut status = campaign::status(&campaign)?;
            status.resumed = Some(resumed);
            Ok(status)
        }
        Action::Status => {
            let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
            let campaign = found.ok_or(CampaignError::None)?;
            Ok(campaign::status(&campaign)?)
        }
        Action::Finish => {
            let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
            let campaign = found.ok_or(CampaignError::None)?;
            let Some(outcome) = arguments.outcome else {
                return Err(Fault::new(
                    FaultCode::InvalidArgument,
                    "finish needs an outcome",
                    r#"{"action": "finish", "outcome": "success, tied, external, at_limit or abandoned", "reason": "..."}"#,
                ));
            };
            let mut finished = campaign::finish(
                &campaign,
                &FinishRequest {
                    outcome,
                    reason: arguments.reason.unwrap_or_default(),
                    evidence: arguments.evidence,
                },
            )?;
            // A page that cannot be drawn does not undo the end.
            if let Err(error) = report::of_campaign(&campaign, None) {
                finished
                    .warnings
                    .push(format!("no final_report.html: {error}"));
            }
            let mut status = campaign::status(&campaign)?;
            status.finished = Some(finished);
            Ok(status)
        }
    }
}
