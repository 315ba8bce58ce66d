//! Which campaign a tool call was about, from what the host tells a hook.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::hook_input::HookInput;
use crate::campaign::{self, Campaign, Found};
use crate::job;

/// Arguments with which a call stands alone, outside any campaign.
const ALONE: [(&str, &str); 2] = [("check_gap", "rows"), ("run_benchmark", "plan")];

/// The campaign that a call of one of this server's tools was about: named in
/// its arguments or in its answer, the one of its job, or the one open campaign
/// of the project.
pub fn touched(input: &HookInput, project: Option<&Path>) -> Option<Campaign> {
    let arguments = &input.tool_input;
    let answers = input.answers();
    let workspace = text(arguments, "workspace")
        .map(PathBuf::from)
        .or_else(|| project.map(Path::to_path_buf))
        .or_else(|| input.cwd.clone())?;
    if let Some(name) = text(arguments, "campaign") {
        return located(&workspace, Some(name));
    }
    if let Some(root) = answers.iter().find_map(|answer| text(answer, "root")) {
        return at_root(Path::new(root));
    }
    let all = std::iter::once(arguments).chain(&answers);
    let mut jobs = all.filter_map(|value| text(value, "job_id"));
    if let Some(id) = jobs.next() {
        let folder = job::open(id).ok()?.dir;
        return folder.ancestors().skip(1).find_map(at_root);
    }
    let tool = input.tool_name.rsplit("__").next().unwrap_or_default();
    let alone = ALONE.iter().any(|(name, key)| {
        *name == tool && arguments.get(*key).is_some() && arguments.get("label").is_none()
    });
    if alone {
        return None;
    }
    located(&workspace, None)
}

fn located(workspace: &Path, name: Option<&str>) -> Option<Campaign> {
    match campaign::locate(workspace, name) {
        Ok(Found::Campaign(campaign)) => Some(campaign),
        _ => None,
    }
}

fn at_root(root: &Path) -> Option<Campaign> {
    let campaign = Campaign::at(root);
    campaign.log().path().is_file().then_some(campaign)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}
