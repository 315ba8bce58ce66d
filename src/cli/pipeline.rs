//! `sota-loop pipeline`: passes, layers and layer types, for a person.

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Output};
use super::patience::patiently;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::pipeline::{
    self, Change, Comparison, LayerFlow, PassChoice, PassRow, PipelineRecord, PipelineRequest,
};
use crate::trace::Stage;

const EXAMPLES: &str = "\
Examples:
  sota-loop pipeline decode/1795501003-TP-0.trace.json.gz --config qwen3-8b/config.json
  sota-loop pipeline sglang.json.gz --layers 0,17 --compare-layers 0,17
  sota-loop pipeline sglang.json.gz --compare vllm.json.gz --stage decode
  sota-loop pipeline sglang.json.gz --perfetto layers.json.gz   # open beside the trace

Layers are found as repeats in the kernel sequence; the configuration only
names and checks them. docs/pipeline.md explains every table.";

/// Find the passes, layers and layer types of a profiler trace.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PipelineArgs {
    /// Trace file (.json, .json.gz, .json.zst) or a folder that holds exactly one.
    trace: PathBuf,
    /// The model's config.json, or its folder.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The pass to open: `auto` or its index.
    #[arg(long, default_value = "auto", value_name = "INDEX")]
    pass: PassChoice,
    /// With `--pass auto`, the stage to choose from.
    #[arg(long, value_parser = stage, value_name = "prefill|decode|mixed")]
    stage: Option<Stage>,
    /// Layers to list kernel by kernel.
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    layers: Vec<u32>,
    /// Two layers to compare kernel by kernel.
    #[arg(long, value_delimiter = ',', num_args = 1..=2, value_name = "A,B")]
    compare_layers: Vec<u32>,
    /// Trace of another engine: each layer type is compared with its like there.
    #[arg(long, value_name = "PATH")]
    compare: Option<PathBuf>,
    /// The pass of the other trace: `auto` or its index.
    #[arg(long, default_value = "auto", value_name = "INDEX")]
    compare_pass: PassChoice,
    /// Write the whole report as Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write a small trace with tracks for passes, layers and bubbles.
    #[arg(long, value_name = "FILE.json.gz")]
    perfetto: Option<PathBuf>,
}

fn stage(text: &str) -> Result<Stage, String> {
    [Stage::Prefill, Stage::Decode, Stage::Mixed, Stage::Unknown]
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or_else(|| format!("`{text}` is none of prefill, decode, mixed, unknown"))
}

pub fn run(args: PipelineArgs, output: &Output) -> Result<(), Fault> {
    let compare_layers = match args.compare_layers[..] {
        [] => None,
        [a, b] => Some([a, b]),
        _ => {
            return Err(Fault::new(
                crate::fault::FaultCode::InvalidArgument,
                "--compare-layers takes exactly two layers",
                "for example `--compare-layers 0,17`",
            ));
        }
    };
    let listed = !args.layers.is_empty();
    let request = PipelineRequest {
        trace: args.trace,
        config: args.config,
        pass: args.pass,
        stage: args.stage,
        layers: args.layers,
        compare_layers,
        compare_trace: args.compare,
        compare_pass: args.compare_pass,
        report: args.report,
        perfetto: args.perfetto,
        detail: Detail::Full,
    };
    let inputs = [
        Some(request.trace.as_path()),
        request.compare_trace.as_deref(),
    ];
    let work = || pipeline::analyze(&request);
    let record = patiently(output, "reading traces", &inputs, work)?;
    output.record(&record, |record| human(record, listed))
}

/// Hot kernels of each type that a person sees; `--report` has them all.
const HOT: usize = 10;

fn human(record: &PipelineRecord, listed: bool) -> String {
    let mut parts: Vec<String> = record
        .warnings
        .iter()
        .map(|warning| output::prose(&format!("note: {warning}")))
        .collect();
    parts.push(passes(record));
    if let Some(check) = &record.config_check {
        let verdict = if check.agrees { "agrees" } else { "disagrees" };
        let mut lines = vec![format!(
            "{} ({}, {} layers: {}) {verdict}",
            check.path.display(),
            check.model_type,
            check.layers,
            check.types.join("; ")
        )];
        lines.extend(check.notes.iter().map(|note| format!("  {note}")));
        parts.push(output::prose(&lines.join("\n")));
    }
    parts.push(format!(
        "{}\n\n{}",
        output::prose(&format!(
            "pass {}: {}",
            record.chosen_pass.index, record.chosen_pass.reason
        )),
        types(record)
    ));
    parts.extend(
        record
            .layer_types
            .iter()
            .map(|kind| hot(record, &kind.r#type)),
    );
    if listed {
        parts.extend(record.flows.iter().map(flow));
    }
    let comparisons = record
        .layer_comparison
        .iter()
        .chain(&record.type_comparisons);
    parts.extend(comparisons.map(comparison));
    let first = record.perfetto.first();
    parts.extend(first.map(|range| {
        format!(
            "in a viewer: {} lies at {:.6} to {:.6} s",
            range.label, range.start_s, range.end_s
        )
    }));
    let written = record.report_path.iter().chain(&record.perfetto_path);
    parts.extend(written.map(|path| format!("wrote {}", path.display())));
    parts.join("\n\n")
}

/// Consecutive passes that are alike, one line each.
fn passes(record: &PipelineRecord) -> String {
    let mut table = output::aligned(
        &[
            "passes", "stage", "batch", "tokens", "layers", "kernels", "wall ms", "busy %",
            "state", "note",
        ],
        &[2, 3, 4, 5, 6, 7],
    );
    let kind = |pass: &PassRow| {
        (
            pass.stage,
            pass.batch,
            pass.tokens,
            pass.layers,
            pass.state,
            pass.note.clone(),
        )
    };
    for group in record.passes.chunk_by(|a, b| kind(a) == kind(b)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let mean =
            |part: fn(&PassRow) -> f64| group.iter().map(part).sum::<f64>() / group.len() as f64;
        let wall = mean(|pass| pass.wall_us);
        let count = |count: Option<u32>| count.map_or("-".to_owned(), |count| count.to_string());
        let cells = [
            match first.index == last.index {
                true => first.index.to_string(),
                false => format!("{}-{}", first.index, last.index),
            },
            first.stage.as_str().to_owned(),
            count(first.batch),
            count(first.tokens),
            first.layers.to_string(),
            format!("{:.0}", mean(|pass| f64::from(pass.kernels))),
            format!("{:.3}", wall / 1000.0),
            format!(
                "{:.1}",
                100.0 * mean(|pass| pass.busy_us) / wall.max(f64::MIN_POSITIVE)
            ),
            first.state.as_str().to_owned(),
            first.note.clone().unwrap_or_default(),
        ];
        output::line(&mut table, cells);
    }
    table.to_string()
}

fn types(record: &PipelineRecord) -> String {
    let mut table = output::aligned(
        &[
            "layer type",
            "layers",
            "members",
            "kernels",
            "wall us",
            "sum us",
            "idle us",
            "% of pass",
        ],
        &[1, 3, 4, 5, 6, 7],
    );
    for kind in &record.layer_types {
        let cells = [
            kind.r#type.clone(),
            kind.count.to_string(),
            kind.members.clone(),
            kind.kernels.to_string(),
            format!("{:.2}", kind.avg_wall_us),
            format!("{:.2}", kind.avg_sum_us),
            format!("{:.2}", kind.avg_idle_us),
            format!("{:.1}", kind.pass_share_pct),
        ];
        output::line(&mut table, cells);
    }
    table.to_string()
}

fn hot(record: &PipelineRecord, kind: &str) -> String {
    let mut table = output::aligned(
        &[
            &format!("hot kernels of {kind}"),
            "launch",
            "category",
            "avg us",
            "%",
            "grid",
        ],
        &[1, 3, 4],
    );
    let of_type = record
        .hot_kernels
        .iter()
        .filter(|kernel| kernel.r#type == kind);
    for kernel in of_type.take(HOT) {
        let cells = [
            kernel.name.clone(),
            kernel.occurrence.to_string(),
            kernel.category.as_str().to_owned(),
            format!("{:.2}", kernel.avg_us),
            format!("{:.1}", kernel.share_pct),
            triple(kernel.grid),
        ];
        output::line(&mut table, cells);
    }
    table.to_string()
}

fn flow(flow: &LayerFlow) -> String {
    let mut table = output::aligned(
        &[
            &format!("layer {} ({})", flow.layer, flow.r#type),
            "category",
            "at us",
            "us",
            "gap us",
            "%",
            "stream",
            "grid",
        ],
        &[2, 3, 4, 5, 6],
    );
    for row in &flow.kernels {
        let cells = [
            row.name.clone(),
            row.category.as_str().to_owned(),
            format!("{:.2}", row.start_us),
            format!("{:.2}", row.dur_us),
            format!("{:.2}", row.gap_us),
            format!("{:.1}", row.share_pct),
            row.stream.to_string(),
            triple(row.grid),
        ];
        output::line(&mut table, cells);
    }
    table.to_string()
}

fn comparison(comparison: &Comparison) -> String {
    let mut table = output::aligned(
        &["change", "first", "us", "second", "us", "delta us"],
        &[2, 4, 5],
    );
    let us = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{us:.2}"));
    for step in &comparison.steps {
        table.add_row([
            step.change.as_str().to_owned(),
            step.a.clone().unwrap_or_else(|| "-".into()),
            us(step.a_us),
            step.b.clone().unwrap_or_else(|| "-".into()),
            us(step.b_us),
            format!("{:+.2}", step.delta_us),
        ]);
    }
    let changed: Vec<String> = comparison
        .counts
        .iter()
        .filter(|(change, _)| **change != Change::Same)
        .map(|(change, count)| format!("{count} {}", change.as_str()))
        .collect();
    format!(
        "{} against {}: {:.2} us against {:.2} us of kernels ({})\n\n{table}",
        comparison.a,
        comparison.b,
        comparison.a_us,
        comparison.b_us,
        match changed.is_empty() {
            true => "no difference".to_owned(),
            false => changed.join(", "),
        }
    )
}

fn triple(values: [u32; 3]) -> String {
    format!("{}x{}x{}", values[0], values[1], values[2])
}
