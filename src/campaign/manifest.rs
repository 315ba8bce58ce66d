//! `manifest.md`, rendered from the opening event.

use std::fmt::Write;

use serde_json::Value;

use super::{Campaign, CampaignError};
use crate::disk;

/// Renders the manifest anew.
pub fn render(campaign: &Campaign) -> Result<(), CampaignError> {
    let state = campaign.state()?;
    let mut text = format!("# Campaign {}\n", campaign.id);
    if let Some(opened) = &state.opened {
        let inputs = serde_json::json!(opened.body.inputs);
        let _ = writeln!(
            text,
            "\nOpened {} by sota-loop {}.",
            opened.time, opened.body.version
        );
        text.push_str("\n## Inputs\n\n| input | value |\n| --- | --- |\n");
        if let Some(inputs) = inputs.as_object() {
            for (name, value) in inputs {
                let _ = writeln!(text, "| {} | {} |", name.replace('_', " "), plain(value));
            }
        }
        text.push_str("\n## Frameworks\n\n");
        frameworks(&mut text, &inputs);
        text.push_str("\n## Environment\n\n");
        let _ = writeln!(
            text,
            "- host: {}",
            opened.body.host.as_deref().unwrap_or("unknown")
        );
    }
    text.push_str(
        "\nThis file is rendered from `humanize/lineage.jsonl`; edits are overwritten.\n",
    );
    Ok(disk::write_atomic(
        &campaign.root.join("manifest.md"),
        text.as_bytes(),
    )?)
}

fn frameworks(text: &mut String, inputs: &Value) {
    let _ = writeln!(text, "- target: {}", plain(&inputs["target_framework"]));
    for name in inputs["comparison_frameworks"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let _ = writeln!(text, "- compared: {}", plain(name));
    }
    for (name, reason) in inputs["excluded"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "- excluded: {name}, because {}", plain(reason));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('|', "\\|"),
        Value::Null => "unknown".to_owned(),
        other => other.to_string().replace('|', "\\|"),
    }
}
