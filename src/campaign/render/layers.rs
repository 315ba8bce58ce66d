//! `analysis/layer-pipeline.md`: the layers of the target's passes, and what
//! the agent made of them.

use std::fmt::Write;

use super::Table;
use crate::campaign::events::PipelineRecorded;
use crate::campaign::state::Recorded;
use crate::campaign::{Campaign, State};

/// Analyses shown; the others are named.
const SHOWN: usize = 4;
/// Hot kernels shown of each.
const HOT: usize = 12;

pub fn render(_campaign: &Campaign, state: &State) -> String {
    let mut text = "# Layer pipeline\n".to_owned();
    if state.pipelines.is_empty() {
        text.push_str("\nNone is analysed yet: `analyze_pipeline {\"trace\": \"...\"}`.\n");
    }
    for cause in state.root_causes.iter().rev() {
        if let Some(layers) = &cause.body.layers {
            let _ = writeln!(
                text,
                "\n{layers} (event {}, {})",
                cause.seq,
                cause.body.stage.as_str()
            );
        }
    }
    for pipeline in state.pipelines.iter().rev().take(SHOWN) {
        one(&mut text, pipeline);
    }
    for pipeline in state.pipelines.iter().rev().skip(SHOWN) {
        let _ = writeln!(
            text,
            "\n- event {}: `{}`",
            pipeline.seq,
            pipeline.body.report_path.display()
        );
    }
    text
}

fn one(text: &mut String, pipeline: &Recorded<PipelineRecorded>) {
    let body = &pipeline.body;
    let _ = writeln!(
        text,
        "\n## Event {}: {} {}\n\nPass {} of `{}`, {} layers. Full report: `{}`.\n",
        pipeline.seq,
        body.framework.as_deref().unwrap_or("an engine"),
        body.stage.map_or("", |stage| stage.as_str()),
        body.chosen_pass,
        body.trace.display(),
        body.layers_per_pass,
        body.report_path.display(),
    );
    let mut layers = Table::new(&["layer type", "count", "wall µs", "of the pass", "look at"]);
    for layer in &body.layer_types {
        layers.row([
            layer.r#type.clone(),
            layer.count.to_string(),
            format!("{:.1}", layer.avg_wall_us),
            format!("{:.1}%", layer.pass_share_pct),
            format!("layer {}", layer.representative),
        ]);
    }
    text.push_str(&layers.or("No layer type was found."));
    text.push('\n');
    let mut hot = Table::new(&["hot kernel", "layer type", "category", "µs", "of the layer"]);
    for kernel in body.hot_kernels.iter().take(HOT) {
        hot.row([
            format!("`{}`", kernel.name),
            kernel.r#type.clone(),
            kernel.category.as_str().to_owned(),
            format!("{:.1}", kernel.avg_us),
            format!("{:.1}%", kernel.share_pct),
        ]);
    }
    text.push_str(&hot.or("No hot kernel was found."));
}
