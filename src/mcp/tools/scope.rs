//! What a call is about: its campaign, and where its files go.

use std::path::{Path, PathBuf};

use crate::campaign::{self, Campaign, Found};
use crate::fault::Fault;

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
