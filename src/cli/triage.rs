//! `sota-loop triage`: what a profiler trace says, for a person.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table};

use super::output::{self, Output};
use super::patience::patiently;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::trace::short;
use crate::triage::{
    self, Bubble, FusionRow, KernelRow, OverlapRow, StageComparison, StageRecord, TriageRecord,
    TriageRequest,
};

const EXAMPLES: &str = "\
Examples:
  sota-loop triage decode/1795501003-TP-0.trace.json.gz
  sota-loop triage sglang/decode --mapping sglang-eager/decode
  sota-loop triage sglang/ --compare vllm/ --out out/triage

A mapping trace is one of the same engine taken with CUDA graphs off: it gives
the kernels of replayed graphs their source lines. docs/triage.md explains
every table.";

/// Tell where the time in a profiler trace goes and what could be saved.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TriageArgs {
    /// Trace file (.json, .json.gz, .json.zst) or a folder of them.
    path: PathBuf,
    /// Trace of the same engine and model without CUDA graphs.
    #[arg(long, value_name = "PATH")]
    mapping: Option<PathBuf>,
    /// Trace of another engine on the same workload.
    #[arg(long, value_name = "PATH")]
    compare: Option<PathBuf>,
    /// The engine that wrote the trace; told from the trace when left out.
    #[arg(long)]
    framework: Option<String>,
    /// Sum up kernels below this share of their stage, in percent.
    #[arg(long, default_value_t = 1.0, value_name = "PCT")]
    min_share: f64,
    /// The rank to analyse where a folder holds several; default the lowest.
    #[arg(long)]
    rank: Option<u32>,
    /// Folder for report.md and report.json.
    #[arg(long, default_value = "out/triage", value_name = "DIR")]
    out: PathBuf,
}

pub fn run(args: TriageArgs, output: &Output) -> Result<(), Fault> {
    let request = TriageRequest {
        input: args.path,
        mapping_input: args.mapping,
        compare_input: args.compare,
        framework: args.framework,
        min_share_pct: Some(args.min_share),
        rank: args.rank,
        detail: Detail::Full,
    };
    let inputs = [
        Some(request.input.as_path()),
        request.mapping_input.as_deref(),
        request.compare_input.as_deref(),
    ];
    let work = || triage::analyze(&request);
    let mut record = patiently(output, "reading traces", &inputs, work)?;
    let report = triage::write_report(&args.out, &record)?;
    record.report_path = Some(report.markdown);
    output.record(&record, human)
}

pub(super) fn human(record: &TriageRecord) -> String {
    let mut parts: Vec<String> = record
        .warnings
        .iter()
        .map(|warning| format!("note: {warning}"))
        .collect();
    parts.extend(record.comparison.iter().map(comparison));
    parts.extend(record.stages.iter().map(stage));
    if let Some(path) = &record.report_path {
        parts.push(format!("report: {}", path.display()));
    }
    parts.push(format!("next: {}", record.next));
    parts.join("\n\n")
}

fn stage(stage: &StageRecord) -> String {
    let part = |us: f64| 100.0 * us / stage.wall_us.max(f64::MIN_POSITIVE);
    let bound = if stage.launch_bound {
        ", launch-bound"
    } else {
        ""
    };
    let mut parts = vec![format!(
        "{}: {} steps, wall {:.2} ms: busy {:.1}%, only communication {:.1}%, only copies {:.1}%, idle {:.1}%{bound}",
        stage.stage.as_str().to_uppercase(),
        stage.steps,
        stage.wall_us / 1000.0,
        part(stage.busy_us),
        part(stage.exposed_communication_us),
        part(stage.memcpy_us),
        part(stage.idle_us),
    )];
    parts.extend(bubbles(&stage.bubbles));
    parts.push(kernels(&stage.kernels));
    if !stage.overlap.is_empty() {
        parts.push(overlap(&stage.overlap));
    }
    if !stage.fusion.is_empty() {
        parts.push(fusion(&stage.fusion));
    }
    parts.join("\n\n")
}

fn bubbles(bubbles: &[Bubble]) -> Option<String> {
    let line = |bubble: &Bubble| {
        let held = bubble.held_by.first().map_or_else(String::new, |holder| {
            let parts = [holder.operator.as_deref(), holder.location.as_deref()];
            let parts: Vec<&str> = parts.into_iter().flatten().collect();
            format!(", most of it in {}", parts.join(", "))
        });
        format!(
            "  idle: {} {:.2} ms, {} times{held}",
            word(&bubble.cause),
            bubble.us / 1000.0,
            bubble.count
        )
    };
    let lines: Vec<String> = bubbles.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn kernels(rows: &[KernelRow]) -> String {
    let mut table = table(
        &[
            "kernel", "category", "ms", "share %", "launches", "source", "how",
        ],
        &[2, 3, 4],
    );
    for row in rows {
        let place = row.locations.first();
        table.add_row([
            short(&row.name),
            row.category.as_str().to_owned(),
            format!("{:.3}", row.gpu_time_us / 1000.0),
            format!("{:.2}", row.share_pct),
            row.launches.to_string(),
            place.map_or_else(String::new, |place| {
                let line = place
                    .line
                    .map_or_else(String::new, |line| format!(":{line}"));
                format!("{}{line} {}", place.path, place.function)
            }),
            place.map_or_else(String::new, |place| {
                format!("{} ({})", word(&place.method), word(&place.confidence))
            }),
        ]);
    }
    table.to_string()
}

fn overlap(rows: &[OverlapRow]) -> String {
    let mut table = table(
        &[
            "overlap",
            "exposed ms",
            "of busy %",
            "hidden ms",
            "between",
            "advice",
        ],
        &[1, 2, 3],
    );
    for row in rows {
        table.add_row([
            short(&row.name),
            format!("{:.3}", row.exposed_us / 1000.0),
            format!("{:.2}", row.exposed_share_pct),
            format!("{:.3}", row.hidden_us / 1000.0),
            format!(
                "{} -> {}",
                row.before.as_deref().unwrap_or("-"),
                row.after.as_deref().unwrap_or("-")
            ),
            word(&row.advice),
        ]);
    }
    table.to_string()
}

fn fusion(rows: &[FusionRow]) -> String {
    let mut table = table(
        &[
            "fusion",
            "status",
            "apart a step",
            "share %",
            "available in",
        ],
        &[2, 3],
    );
    for row in rows {
        table.add_row([
            row.pattern.clone(),
            word(&row.status),
            row.separate_per_step.to_string(),
            format!("{:.2}", row.share_pct),
            row.available_in.clone(),
        ]);
    }
    table.to_string()
}

fn comparison(found: &StageComparison) -> String {
    let name = |framework: &Option<String>, other: &str| {
        framework.clone().unwrap_or_else(|| other.to_owned())
    };
    let (a, b) = (
        name(&found.input.framework, "input"),
        name(&found.compare.framework, "compared"),
    );
    let mut table = table(
        &[
            "class",
            &format!("{a} us"),
            &format!("{b} us"),
            "difference",
            "of the gap %",
            "less in",
        ],
        &[1, 2, 3, 4],
    );
    for class in &found.classes {
        let winner = match class.winner {
            triage::Winner::Input => a.clone(),
            triage::Winner::Compare => b.clone(),
            triage::Winner::Even => "even".to_owned(),
        };
        table.add_row([
            word(&class.class),
            format!("{:.1}", class.input_us),
            format!("{:.1}", class.compare_us),
            format!("{:+.1}", class.difference_us),
            format!("{:+.0}", class.gap_share_pct),
            winner,
        ]);
    }
    format!(
        "{a} against {b}, {} ({}): {:.3} ms against {:.3} ms a step, {:+.1}%\n{table}",
        found.stage.as_str(),
        found.matched_on,
        found.input.wall_us / 1000.0,
        found.compare.wall_us / 1000.0,
        found.gap_pct
    )
}

fn table(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = output::table(header);
    for &index in numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The name that a value has in records, as words.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|text| text.replace('_', " ")))
        .unwrap_or_default()
}
