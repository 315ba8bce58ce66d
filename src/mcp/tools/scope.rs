//! Arguments that many tools share, and what they resolve to.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::campaign::{self, Campaign, Found};
use crate::fault::Fault;

/// How much of a result is inlined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// The few facts that decide.
    #[default]
    Summary,
    /// Everything.
    Full,
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
