//! `manifest.md`: inputs, frameworks, environment.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Table, plain};
use crate::campaign::{Campaign, State};

pub fn render(campaign: &Campaign, state: &State) -> String {
    let mut text = format!("# Campaign {}\n", campaign.id);
    let Some(opened) = &state.opened else {
        return text;
    };
    let inputs = json!(opened.body.inputs);
    let _ = writeln!(
        text,
        "\nOpened {} by sota-loop {}.\n\n## Inputs\n",
        opened.time, opened.body.version
    );
    let mut table = Table::new(&["input", "value"]);
    for (name, value) in inputs.as_object().into_iter().flatten() {
        table.row([name.replace('_', " "), plain(value)]);
    }
    text.push_str(&table.or("None."));
    text.push_str("\n## Frameworks\n\n");
    frameworks(&mut text, state, &inputs);
    text.push_str("\n## Environment\n\n");
    let _ = writeln!(
        text,
        "- host: {}",
        opened.body.host.as_deref().unwrap_or("unknown")
    );
    for outcome in state
        .benchmarks
        .iter()
        .rev()
        .take(1)
        .flat_map(|ended| &ended.body.frameworks)
    {
        if let Some(version) = &outcome.version {
            let _ = writeln!(text, "- {}: {version}", outcome.framework);
        }
    }
    text
}

fn frameworks(text: &mut String, state: &State, inputs: &Value) {
    let _ = writeln!(text, "- target: {}", state.target());
    for name in state.compared() {
        let _ = writeln!(text, "- compared: {name}");
    }
    for (name, reason) in inputs["excluded"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "- excluded: {name}, because {}", plain(reason));
    }
    for blocker in &state.blockers {
        if let Some(name) = &blocker.body.framework {
            let _ = writeln!(
                text,
                "- blocked: {name}, because {} (event {})",
                blocker.body.detail, blocker.seq
            );
        }
    }
}
