//! The record as files: `report.md` for people, `report.json` for programs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::error::TriageError;
use super::record::{
    Bubble, FusionRow, KernelRow, Location, OverlapRow, RankSkew, StageComparison, StageRecord,
    TriageRecord,
};
use super::units::percent;
use crate::disk;
use crate::trace::short;

/// Where a report was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPaths {
    pub markdown: PathBuf,
    pub json: PathBuf,
}

/// Writes `report.md` and `report.json` into a folder.
///
/// # Errors
///
/// [`TriageError::Write`] when the folder cannot be written.
pub fn write_report(folder: &Path, record: &TriageRecord) -> Result<ReportPaths, TriageError> {
    let paths = ReportPaths {
        markdown: folder.join("report.md"),
        json: folder.join("report.json"),
    };
    let json = serde_json::to_vec_pretty(record).unwrap_or_default();
    disk::write_atomic(&paths.json, &json)?;
    disk::write_atomic(&paths.markdown, render_markdown(record).as_bytes())?;
    Ok(paths)
}

/// The record as Markdown.
pub fn render_markdown(record: &TriageRecord) -> String {
    let mut out = String::from("# Trace triage\n\n");
    // Writing to a string does not fail.
    let _ = write_all(&mut out, record);
    out
}

fn write_all(out: &mut String, record: &TriageRecord) -> std::fmt::Result {
    if let Some(framework) = &record.framework {
        writeln!(out, "Framework: {framework}\n")?;
    }
    for file in &record.files {
        let role = serde_json::to_value(file.role).unwrap_or_default();
        writeln!(
            out,
            "- {} trace `{}`: {} events, {} kernels",
            role.as_str().unwrap_or_default(),
            file.path.display(),
            file.events,
            file.kernels
        )?;
    }
    if !record.warnings.is_empty() {
        writeln!(out, "\n## Keep in mind\n")?;
        for warning in &record.warnings {
            writeln!(out, "- {warning}")?;
        }
    }
    for comparison in &record.comparison {
        write_comparison(out, comparison)?;
    }
    for stage in &record.stages {
        write_stage(out, stage)?;
    }
    match &record.ranks {
        Some(ranks) => write_ranks(out, ranks),
        None => Ok(()),
    }
}

fn write_stage(out: &mut String, stage: &StageRecord) -> std::fmt::Result {
    writeln!(
        out,
        "\n## {}: {} steps\n",
        capitalized(stage.stage.as_str()),
        stage.steps
    )?;
    write_shapes(out, stage)?;
    let part = |us: f64| format!("{} ({:.1}%)", ms(us), percent(us, stage.wall_us));
    writeln!(
        out,
        "Wall {}: busy {}, of it only communication {}, only copies {}; idle {}.{}\n",
        ms(stage.wall_us),
        part(stage.busy_us),
        part(stage.exposed_communication_us),
        part(stage.memcpy_us),
        part(stage.idle_us),
        if stage.launch_bound {
            " The stage is launch-bound."
        } else {
            ""
        }
    )?;
    write_bubbles(out, &stage.bubbles, stage.wall_us)?;
    write_kernels(out, &stage.kernels)?;
    write_overlap(out, &stage.overlap)?;
    write_fusion(out, &stage.fusion)
}

fn write_shapes(out: &mut String, stage: &StageRecord) -> std::fmt::Result {
    if stage.shapes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "| batch | tokens | steps | wall a step | busy a step | kernels | graph replays |\n|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    let number = |value: Option<u32>| value.map_or_else(|| "–".into(), |value| value.to_string());
    for shape in &stage.shapes {
        let replays = match shape.graph_replays {
            0 => "none".into(),
            1 => format!("1 of {} kernels", shape.replay_kernels),
            many => format!("{many}, up to {} kernels", shape.replay_kernels),
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {replays} |",
            number(shape.batch),
            number(shape.tokens),
            shape.steps,
            ms(shape.wall_us),
            ms(shape.busy_us),
            shape.kernels,
        )?;
    }
    writeln!(out)
}

fn write_bubbles(out: &mut String, bubbles: &[Bubble], wall_us: f64) -> std::fmt::Result {
    if bubbles.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "| idle because | time | of wall | times | held by |\n|---|---:|---:|---:|---|"
    )?;
    for bubble in bubbles {
        let cause = serde_json::to_value(bubble.cause).unwrap_or_default();
        let held = bubble.held_by.first().map_or_else(String::new, |holder| {
            let parts = [holder.operator.as_deref(), holder.location.as_deref()];
            let parts: Vec<&str> = parts.into_iter().flatten().collect();
            format!("{} ({})", cell(&parts.join(" in ")), ms(holder.us))
        });
        writeln!(
            out,
            "| {} | {} | {:.1}% | {} | {held} |",
            cause.as_str().unwrap_or_default().replace('_', " "),
            ms(bubble.us),
            percent(bubble.us, wall_us),
            bubble.count
        )?;
    }
    writeln!(out)
}

fn write_kernels(out: &mut String, kernels: &[KernelRow]) -> std::fmt::Result {
    writeln!(
        out,
        "### Kernels\n\n| kernel | category | GPU time | share | launches | source | operator |\n|---|---|---:|---:|---:|---|---|"
    )?;
    for row in kernels {
        let places: Vec<String> = row.locations.iter().map(place).collect();
        writeln!(
            out,
            "| {} | {} | {} | {:.2}% | {} | {} | {} |",
            cell(&short(&row.name)),
            row.category.as_str(),
            ms(row.gpu_time_us),
            row.share_pct,
            row.launches,
            places.join("<br>"),
            cell(row.cpu_op.as_deref().unwrap_or("")),
        )?;
    }
    writeln!(out)
}

fn place(location: &Location) -> String {
    let method = serde_json::to_value(location.method).unwrap_or_default();
    let confidence = serde_json::to_value(location.confidence).unwrap_or_default();
    let line = location
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    let mut via = String::new();
    if let Some(module) = &location.module {
        via.push_str(&format!(" in {module}"));
    }
    if let Some(model) = &location.model {
        via.push_str(&format!(" from {}", cell(model)));
    }
    format!(
        "{}{line} {}{via} ({:.0}%, {}, {})",
        cell(&location.path),
        cell(&location.function),
        location.share_pct,
        method.as_str().unwrap_or_default().replace('_', " "),
        confidence.as_str().unwrap_or_default(),
    )
}

fn write_overlap(out: &mut String, overlap: &[OverlapRow]) -> std::fmt::Result {
    if overlap.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "### Overlap\n\n| kernel | category | exposed | of busy | hidden | by compute | back to back | between | advice |\n|---|---|---:|---:|---:|---:|---:|---|---|"
    )?;
    for row in overlap {
        let advice = serde_json::to_value(row.advice).unwrap_or_default();
        writeln!(
            out,
            "| {} | {} | {} | {:.1}% | {} | {} | {:.0}% | {} → {} | {} |",
            cell(&short(&row.name)),
            row.category.as_str(),
            ms(row.exposed_us),
            row.exposed_share_pct,
            ms(row.hidden_us),
            ms(row.hidden_by_compute_us),
            row.tight_pct,
            cell(row.before.as_deref().unwrap_or("–")),
            cell(row.after.as_deref().unwrap_or("–")),
            advice.as_str().unwrap_or_default().replace('_', " "),
        )?;
    }
    writeln!(out)
}

fn write_fusion(out: &mut String, fusion: &[FusionRow]) -> std::fmt::Result {
    if fusion.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "### Fusion\n\n| pattern | status | apart a step | merged a step | time apart | share | available in | evidence |\n|---|---|---:|---:|---:|---:|---|---|"
    )?;
    for row in fusion {
        let status = serde_json::to_value(row.status).unwrap_or_default();
        let evidence: Vec<String> = row
            .evidence
            .iter()
            .take(3)
            .map(|seen| format!("{} ×{}", cell(&seen.kernel), seen.launches))
            .collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {:.2}% | {}: {} | {} |",
            row.pattern,
            status.as_str().unwrap_or_default(),
            row.separate_per_step,
            row.fused_per_step,
            ms(row.separate_us),
            row.share_pct,
            row.available_in,
            row.source,
            evidence.join(", "),
        )?;
    }
    writeln!(out)
}

fn write_comparison(out: &mut String, found: &StageComparison) -> std::fmt::Result {
    let name = |framework: &Option<String>, other: &str| {
        framework.clone().unwrap_or_else(|| other.to_owned())
    };
    let (a, b) = (
        name(&found.input.framework, "input"),
        name(&found.compare.framework, "compared"),
    );
    writeln!(
        out,
        "\n## {} against {} in {} ({})\n",
        a,
        b,
        found.stage.as_str(),
        found.matched_on
    )?;
    writeln!(
        out,
        "A step takes {} against {}: {:+.1} µs ({:+.1}%), over {} and {} steps.\n",
        ms(found.input.wall_us),
        ms(found.compare.wall_us),
        found.gap_us,
        found.gap_pct,
        found.input.steps,
        found.compare.steps
    )?;
    writeln!(
        out,
        "| class | {a} µs | {b} µs | difference | of the gap | less in | most in {a} | most in {b} |\n|---|---:|---:|---:|---:|---|---|---|"
    )?;
    for class in &found.classes {
        let label = serde_json::to_value(class.class).unwrap_or_default();
        let winner = match class.winner {
            super::record::Winner::Input => a.as_str(),
            super::record::Winner::Compare => b.as_str(),
            super::record::Winner::Even => "even",
        };
        writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:+.1} | {:+.0}% | {winner} | {} | {} |",
            label.as_str().unwrap_or_default().replace('_', " "),
            class.input_us,
            class.compare_us,
            class.difference_us,
            class.gap_share_pct,
            cell(class.input_kernels.first().map_or("", String::as_str)),
            cell(class.compare_kernels.first().map_or("", String::as_str)),
        )?;
    }
    writeln!(out)
}

fn write_ranks(out: &mut String, ranks: &RankSkew) -> std::fmt::Result {
    writeln!(
        out,
        "\n## Collectives over {} ranks\n\n| collective | times | skew | waiting | transfer | last to arrive |\n|---|---:|---:|---:|---:|---|",
        ranks.ranks.len()
    )?;
    for row in &ranks.collectives {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | rank {} ({:.0}%) |",
            cell(&row.name),
            row.count,
            ms(row.skew_us),
            ms(row.waiting_us),
            ms(row.transfer_us),
            row.last_rank,
            row.last_rank_pct
        )?;
    }
    Ok(())
}

/// A time in the unit in which it reads best.
fn ms(us: f64) -> String {
    if us.abs() >= 1000.0 {
        format!("{:.2} ms", us / 1000.0)
    } else {
        format!("{us:.1} µs")
    }
}

/// Text that does not break a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
