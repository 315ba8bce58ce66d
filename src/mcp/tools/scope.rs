//! What a call is about: its campaign, and where its files go.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::campaign::{self, Campaign, Found};
use crate::fault::Fault;

/// A domain's record, and where a campaign's log keeps it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Noted<T> {
    #[serde(flatten)]
    pub record: T,
    /// Number of the campaign's event, for citations; absent outside a campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
}

impl<T> Noted<T> {
    /// Of a call that stands alone.
    pub fn alone(record: T) -> Self {
        Self {
            record,
            event: None,
        }
    }
}

/// The campaign that a call is about: the one named, else the one of the
/// workspace; none where there is none.
pub fn campaign_of(
    workspace: Option<&Path>,
    project_dir: Option<&Path>,
    campaign: Option<&str>,
) -> Result<Option<Campaign>, Fault> {
    let workspace = campaign::workspace(workspace, project_dir)?;
    match campaign::locate(&workspace, campaign)? {
        Found::Campaign(campaign) => Ok(Some(campaign)),
        Found::None => Ok(None),
    }
}

/// Where a call's files go: the campaign's folder, else `out/` of the workspace.
pub fn folder_of(
    campaign: Option<&Campaign>,
    workspace: Option<&Path>,
    project_dir: Option<&Path>,
) -> Result<PathBuf, Fault> {
    match campaign {
        Some(campaign) => Ok(campaign.root.clone()),
        None => Ok(campaign::workspace(workspace, project_dir)?.join("out")),
    }
}
