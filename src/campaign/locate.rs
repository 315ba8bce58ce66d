//! Which workspace and which campaign a call is about.

use std::path::{Path, PathBuf};

use super::{Campaign, CampaignError};
use crate::nearest::nearest;

/// The campaign of a call, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Campaign(Campaign),
    /// No campaign is open here: the call stands alone.
    None,
}

/// The workspace of a call: the argument, else the folder that the host named,
/// else the current one. It must be absolute, writable and no plugin folder.
pub fn workspace(
    argument: Option<&Path>,
    project_dir: Option<&Path>,
) -> Result<PathBuf, CampaignError> {
    let path = match argument.or(project_dir) {
        Some(path) => path.to_path_buf(),
        None => std::env::current_dir().unwrap_or_default(),
    };
    let refuse = |reason: &str| {
        Err(CampaignError::WorkspaceRequired {
            path: path.clone(),
            reason: reason.to_owned(),
        })
    };
    if !path.is_absolute() {
        return refuse("it is not absolute");
    }
    if !path.is_dir() {
        return refuse("there is no such folder");
    }
    if argument.is_none() && path.join(".claude-plugin/plugin.json").is_file() {
        return refuse("it is a plugin's own folder");
    }
    if nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK).is_err() {
        return refuse("this user may not write there");
    }
    Ok(path)
}

/// The campaigns of a workspace, oldest first.
pub fn campaigns(workspace: &Path) -> Vec<Campaign> {
    let Ok(entries) = std::fs::read_dir(workspace.join("runs")) else {
        return Vec::new();
    };
    let mut found: Vec<Campaign> = entries
        .flatten()
        .map(|entry| Campaign::at(&entry.path()))
        .filter(|campaign| campaign.log().path().is_file())
        .collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// The campaign named by id or root; by default the one of the workspace.
pub fn locate(workspace: &Path, name: Option<&str>) -> Result<Found, CampaignError> {
    let known = campaigns(workspace);
    let ids = || {
        known
            .iter()
            .map(|campaign| campaign.id.clone())
            .collect::<Vec<_>>()
    };
    if let Some(name) = name {
        let path = Path::new(name);
        let campaign = if path.is_absolute() {
            Some(Campaign::at(path)).filter(|campaign| campaign.log().path().is_file())
        } else {
            known.iter().find(|campaign| campaign.id == name).cloned()
        };
        return campaign.map(Found::Campaign).ok_or_else(|| {
            let mut known = ids();
            if let Some(meant) = nearest(name, known.iter().map(String::as_str)) {
                known = vec![meant.to_owned()];
            }
            CampaignError::Unknown {
                name: name.to_owned(),
                known,
            }
        });
    }
    match &known[..] {
        [] => Ok(Found::None),
        [one] => Ok(Found::Campaign(one.clone())),
        _ => match &open_ones(&known)?[..] {
            [one] => Ok(Found::Campaign(one.clone())),
            _ => Err(CampaignError::Ambiguous { ids: ids() }),
        },
    }
}

/// Campaigns that are neither finished nor superseded by another.
fn open_ones(known: &[Campaign]) -> Result<Vec<Campaign>, CampaignError> {
    let mut open = Vec::new();
    let mut superseded = Vec::new();
    for campaign in known {
        let state = campaign.state()?;
        superseded.extend(state.inputs().and_then(|inputs| inputs.supersedes.clone()));
        if !state.is_finished() {
            open.push(campaign.clone());
        }
    }
    open.retain(|campaign| !superseded.contains(&campaign.id));
    Ok(open)
}
