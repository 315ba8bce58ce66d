//! `query_history`: what has already been changed on a model's path.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::campaign_of;
use crate::campaign::{self, Campaign};
use crate::fault::Fault;
use crate::history::{self, QueryRecord, QueryRequest};
use crate::mcp::{Hints, Tool, ToolContext};

pub struct QueryHistory;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Id or root of a campaign, whose folder receives the notes; default: the
    /// one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
    #[serde(flatten)]
    pub request: QueryRequest,
}

impl Tool for QueryHistory {
    const NAME: &'static str = "query_history";
    const TITLE: &'static str = "Find earlier changes on a model's path";
    const DESCRIPTION: &'static str = "Searches the PR history of a model's family in every framework: knowledge folders (one card a pull request) and the commits of git checkouts. \
        Call it before choosing what to patch, and before a baseline benchmark of a campaign with `record` to write the notes; it needs no network and no GPU. Not for where time goes now: that is `profile`. \
        Returns the family with its confidence, its implementation files, and cards with title, state, date, files, symbols, risk and the lines to read; what is absent or unreadable stands in `findings`. \
        Example: {\"model\": \"Qwen/Qwen3-8B\", \"query\": \"fused qk norm rope\", \"limit\": 5}";
    const EXAMPLE: &'static str = r#"{"model": "Qwen/Qwen3-8B", "query": "fused qk norm rope"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
    };
    type Arguments = Arguments;
    type Record = QueryRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<QueryRecord, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<QueryRecord, Fault> {
    let mut request = arguments.request;
    if arguments.campaign.is_none() && request.record.is_none() {
        return Ok(history::query(&request)?);
    }
    let workspace = request.workspace.as_deref();
    let Some(campaign) = campaign_of(workspace, project_dir, arguments.campaign.as_deref())? else {
        request.workspace = Some(campaign::workspace(workspace, project_dir)?);
        return Ok(history::query(&request)?);
    };
    within(&campaign, &mut request)?;
    let record = history::query(&request)?;
    campaign::record_history(&campaign, &record)?;
    Ok(record)
}

/// The campaign's folder receives the notes, its checkout is searched too, and
/// notes are about its model.
fn within(campaign: &Campaign, request: &mut QueryRequest) -> Result<(), Fault> {
    let state = campaign.state()?;
    if request.checkout.is_none() {
        request.checkout = state.checkout().cloned();
    }
    if request.record.is_some() && request.model.is_none() {
        request.model = state.inputs().and_then(|inputs| inputs.model.clone());
    }
    request.workspace = Some(campaign.root.clone());
    Ok(())
}
