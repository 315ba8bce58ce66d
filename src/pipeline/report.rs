//! The record as Markdown: `analysis/layer-pipeline.md`.

use std::fmt::Write;

use super::record::{Comparison, LayerFlow, PipelineRecord};

/// Passes that the report lists.
const PASSES: usize = 200;
/// Kernels of each type among the hot ones.
const HOT: usize = 12;

/// Renders a whole record; see [`super::analyze`].
pub fn render(record: &PipelineRecord) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = sections(record, &mut text);
    text
}

fn sections(record: &PipelineRecord, out: &mut String) -> std::fmt::Result {
    writeln!(out, "# Layer pipeline\n")?;
    writeln!(out, "- Trace: `{}`", record.trace.display())?;
    writeln!(
        out,
        "- {} passes, {} layers each; pass {} is shown: {}",
        record.passes.len(),
        record.layers_per_pass,
        record.chosen_pass.index,
        record.chosen_pass.reason
    )?;
    if let Some(check) = &record.config_check {
        let verdict = if check.agrees { "agrees" } else { "DISAGREES" };
        writeln!(
            out,
            "- Configuration `{}` ({}, {} layers: {}): {verdict}",
            check.path.display(),
            check.model_type,
            check.layers,
            check.types.join("; ")
        )?;
        for line in check.disagreements.iter().chain(&check.notes) {
            writeln!(out, "  - {line}")?;
        }
    }
    for warning in &record.warnings {
        writeln!(out, "- Note: {warning}")?;
    }
    types(record, out)?;
    hot(record, out)?;
    for flow in &record.flows {
        flow_table(flow, out)?;
    }
    layers(record, out)?;
    for comparison in record
        .layer_comparison
        .iter()
        .chain(&record.type_comparisons)
    {
        comparison_table(comparison, out)?;
    }
    passes(record, out)?;
    writeln!(out, "\n## Where to look in a trace viewer\n")?;
    writeln!(
        out,
        "Seconds from the trace's first event.\n\n| what | from | to |\n|---|---:|---:|"
    )?;
    for range in &record.perfetto {
        writeln!(
            out,
            "| {} | {:.6} | {:.6} |",
            range.label, range.start_s, range.end_s
        )?;
    }
    Ok(())
}

fn types(record: &PipelineRecord, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n## Layer types\n")?;
    writeln!(
        out,
        "| type | layers | members | kernels | wall us | sum us | idle us | % of pass | shown by |\n|---|---:|---|---:|---:|---:|---:|---:|---:|"
    )?;
    for kind in &record.layer_types {
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.1} | layer {} |",
            kind.r#type,
            kind.count,
            kind.members,
            kind.kernels,
            kind.avg_wall_us,
            kind.avg_sum_us,
            kind.avg_idle_us,
            kind.pass_share_pct,
            kind.representative
        )?;
    }
    writeln!(out)?;
    for kind in &record.layer_types {
        let mut parts: Vec<_> = kind.by_category.iter().collect();
        parts.sort_by(|a, b| b.1.total_cmp(a.1));
        let parts: Vec<String> = parts
            .iter()
            .map(|(category, us)| format!("{} {us:.2}", category.as_str()))
            .collect();
        writeln!(
            out,
            "- {} by category, us a layer: {}",
            kind.r#type,
            parts.join(", ")
        )?;
    }
    Ok(())
}

fn hot(record: &PipelineRecord, out: &mut String) -> std::fmt::Result {
    for kind in &record.layer_types {
        writeln!(out, "\n## Hot kernels of {}\n", kind.r#type)?;
        writeln!(
            out,
            "| kernel | launch in layer | category | layers | avg us | % of type | grid | block |\n|---|---:|---|---:|---:|---:|---|---|"
        )?;
        let of_type = record
            .hot_kernels
            .iter()
            .filter(|kernel| kernel.r#type == kind.r#type);
        for kernel in of_type.take(HOT) {
            writeln!(
                out,
                "| `{}` | {} | {} | {} | {:.2} | {:.1} | {} | {} |",
                cell(&kernel.name),
                kernel.occurrence,
                kernel.category.as_str(),
                kernel.layers,
                kernel.avg_us,
                kernel.share_pct,
                triple(kernel.grid),
                triple(kernel.block)
            )?;
        }
    }
    Ok(())
}

fn flow_table(flow: &LayerFlow, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n## Layer {} ({}), kernel by kernel\n",
        flow.layer, flow.r#type
    )?;
    writeln!(
        out,
        "| at us | kernel | category | us | gap us | % | stream | grid |\n|---:|---|---|---:|---:|---:|---:|---|"
    )?;
    for row in &flow.kernels {
        writeln!(
            out,
            "| {:.2} | `{}` | {} | {:.2} | {:.2} | {:.1} | {} | {} |",
            row.start_us,
            cell(&row.name),
            row.category.as_str(),
            row.dur_us,
            row.gap_us,
            row.share_pct,
            row.stream,
            triple(row.grid)
        )?;
    }
    Ok(())
}

fn layers(record: &PipelineRecord, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n## Layers of pass {}\n", record.chosen_pass.index)?;
    writeln!(
        out,
        "| layer | type | at us | wall us | sum us | idle us | kernels |\n|---:|---|---:|---:|---:|---:|---:|"
    )?;
    for layer in &record.layers {
        writeln!(
            out,
            "| {} | {} | {:.1} | {:.2} | {:.2} | {:.2} | {} |",
            layer.index,
            layer.r#type,
            layer.start_us,
            layer.wall_us,
            layer.sum_us,
            layer.idle_us,
            layer.kernels
        )?;
    }
    Ok(())
}

fn comparison_table(comparison: &Comparison, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n## {} against {}\n", comparison.a, comparison.b)?;
    writeln!(
        out,
        "{:.2} us against {:.2} us of kernels.\n\n| change | category | first | us | second | us | delta us |\n|---|---|---|---:|---|---:|---:|",
        comparison.a_us, comparison.b_us
    )?;
    let name = |name: &Option<String>| {
        name.as_deref()
            .map_or("-".into(), |name| format!("`{}`", cell(name)))
    };
    let us = |us: Option<f64>| us.map_or("-".into(), |us| format!("{us:.2}"));
    for step in &comparison.steps {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {:+.2} |",
            step.change.as_str(),
            step.category.as_str(),
            name(&step.a),
            us(step.a_us),
            name(&step.b),
            us(step.b_us),
            step.delta_us
        )?;
    }
    Ok(())
}

fn passes(record: &PipelineRecord, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n## Passes\n")?;
    writeln!(
        out,
        "| pass | stage | batch | tokens | at us | wall us | busy us | layers | kernels | state | note |\n|---:|---|---:|---:|---:|---:|---:|---:|---:|---|---|"
    )?;
    let count = |count: Option<u32>| count.map_or("-".into(), |count| count.to_string());
    for pass in record.passes.iter().take(PASSES) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {} | {} |",
            pass.index,
            pass.stage.as_str(),
            count(pass.batch),
            count(pass.tokens),
            pass.start_us,
            pass.wall_us,
            pass.busy_us,
            pass.layers,
            pass.kernels,
            pass.state.as_str(),
            cell(pass.note.as_deref().unwrap_or(""))
        )?;
    }
    if record.passes.len() > PASSES {
        writeln!(
            out,
            "\n{} more passes are not listed.",
            record.passes.len() - PASSES
        )?;
    }
    Ok(())
}

/// Text that stays in its table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r', '`'], " ")
}

fn triple(values: [u32; 3]) -> String {
    format!("{}x{}x{}", values[0], values[1], values[2])
}
