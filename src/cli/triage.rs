//! `sota-loop triage`: what a profiler trace says, for a person.

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Output};
use super::patience::patiently;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::trace::short;
use crate::triage::{
    self, Advice, Bubble, ClassComparison, Confidence, FusionRow, FusionStatus, KernelRow,
    OverlapRow, StageComparison, StageRecord, TriageRecord, TriageRequest,
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
        .map(|warning| output::prose(&format!("note: {warning}")))
        .collect();
    parts.extend(record.comparison.iter().map(comparison));
    parts.extend(record.stages.iter().map(stage));
    let mut last = String::new();
    if let Some(path) = &record.report_path {
        last = format!("all rows: {}\n", path.display());
    }
    parts.push(format!("{last}next: {}", record.next));
    parts.join("\n\n")
}

fn stage(stage: &StageRecord) -> String {
    let share = |name: &str, us: f64| {
        let pct = 100.0 * us / stage.wall_us.max(f64::MIN_POSITIVE);
        (pct >= 0.05).then(|| format!(", {name} {pct:.1}%"))
    };
    let shares: String = [
        share("busy", stage.busy_us),
        share("only communication", stage.exposed_communication_us),
        share("only copies", stage.memcpy_us),
        share("idle", stage.idle_us),
    ]
    .into_iter()
    .flatten()
    .collect();
    let head = format!(
        "{}: {} steps of {:.3} ms on average{shares}{}",
        stage.stage.as_str().to_uppercase(),
        stage.steps,
        stage.wall_us / 1000.0 / f64::from(stage.steps.max(1)),
        match stage.launch_bound {
            true => ", launch-bound",
            false => "",
        }
    );
    let mut parts = vec![output::prose(&head)];
    parts.extend(bubbles(&stage.bubbles));
    parts.push(kernels(&stage.kernels));
    parts.extend(overlap(&stage.overlap));
    parts.extend(fusion(&stage.fusion));
    parts.join("\n\n")
}

fn bubbles(bubbles: &[Bubble]) -> Option<String> {
    let line = |bubble: &Bubble| {
        let held = bubble.held_by.first().map_or_else(String::new, |holder| {
            let parts = [holder.operator.as_deref(), holder.location.as_deref()];
            let parts: Vec<&str> = parts.into_iter().flatten().collect();
            format!(", most of it in {}", parts.join(", "))
        });
        output::prose(&format!(
            "  idle: {} {:.2} ms, {} times{held}",
            word(&bubble.cause),
            bubble.us / 1000.0,
            bubble.count
        ))
    };
    let lines: Vec<String> = bubbles.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn kernels(rows: &[KernelRow]) -> String {
    let mut header = vec!["kernel", "ms", "share %", "launches", "source"];
    if !output::is_narrow() {
        header.push("category");
    }
    let mut table = output::aligned(&header, &[1, 2, 3]);
    let mut guessed = false;
    for row in rows {
        let source = row.locations.first().map_or_else(String::new, |place| {
            let is_guess = place.confidence == Confidence::Low;
            guessed |= is_guess;
            let line = place
                .line
                .map_or_else(String::new, |line| format!(":{line}"));
            let file = place.path.rsplit('/').next().unwrap_or(&place.path);
            let mark = if is_guess { "~" } else { "" };
            format!("{mark}{file}{line} {}", place.function)
        });
        let cells = [
            short(&row.name),
            format!("{:.3}", row.gpu_time_us / 1000.0),
            format!("{:.2}", row.share_pct),
            row.launches.to_string(),
            source,
            row.category.as_str().to_owned(),
        ];
        output::line(&mut table, cells.into_iter().take(header.len()));
    }
    match guessed {
        true => {
            format!("{table}\n ~ by the kernel's name; the trace does not show who launched it")
        }
        false => table.to_string(),
    }
}

/// What another order or a fusion would save; a kernel that only needs to be
/// faster stands in the kernel table.
fn overlap(rows: &[OverlapRow]) -> Option<String> {
    let mut table = output::aligned(
        &[
            "exposed kernel",
            "ms",
            "of busy %",
            "advice",
            "after",
            "before",
        ],
        &[1, 2],
    );
    let neighbour = |name: &Option<String>| name.as_deref().map_or_else(|| "-".to_owned(), short);
    let movable = rows.iter().filter(|row| row.advice != Advice::FasterKernel);
    for row in movable {
        let cells = [
            short(&row.name),
            format!("{:.3}", row.exposed_us / 1000.0),
            format!("{:.2}", row.exposed_share_pct),
            word(&row.advice),
            neighbour(&row.before),
            neighbour(&row.after),
        ];
        output::line(&mut table, cells);
    }
    (!table.is_empty()).then(|| table.to_string())
}

/// Fusions that are not, or not everywhere, in place.
fn fusion(rows: &[FusionRow]) -> Option<String> {
    let mut header = vec!["possible fusion", "now", "kernels a step", "share %"];
    if !output::is_narrow() {
        header.push("available in");
    }
    let mut table = output::aligned(&header, &[2, 3]);
    let open = rows.iter().filter(|row| row.status != FusionStatus::Active);
    for row in open {
        let cells = [
            row.pattern.clone(),
            word(&row.status),
            row.separate_per_step.to_string(),
            format!("{:.2}", row.share_pct),
            row.available_in.clone(),
        ];
        output::line(&mut table, cells.into_iter().take(header.len()));
    }
    (!table.is_empty()).then(|| table.to_string())
}

/// Differences below this share of the compared step are summed up.
const NOTABLE: f64 = 0.002;

fn comparison(found: &StageComparison) -> String {
    let wall_us = found.compare.wall_us;
    let name = |framework: &Option<String>, other: &str| {
        framework.clone().unwrap_or_else(|| other.to_owned())
    };
    let (a, b) = (
        name(&found.input.framework, "input"),
        name(&found.compare.framework, "compared"),
    );
    let mut table = output::aligned(
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
    // Classes are sorted by the size of their difference.
    let notable = |class: &ClassComparison| class.difference_us.abs() >= NOTABLE * wall_us;
    let (shown, rest): (Vec<_>, Vec<_>) = found.classes.iter().partition(|class| notable(class));
    for class in shown {
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
    if !rest.is_empty() {
        let sum =
            |part: fn(&ClassComparison) -> f64| rest.iter().map(|&class| part(class)).sum::<f64>();
        table.add_row([
            format!("({} more)", rest.len()),
            format!("{:.1}", sum(|class| class.input_us)),
            format!("{:.1}", sum(|class| class.compare_us)),
            format!("{:+.1}", sum(|class| class.difference_us)),
            format!("{:+.0}", sum(|class| class.gap_share_pct)),
            String::new(),
        ]);
    }
    let head = format!(
        "{a} against {b}, {} ({}): {:.3} ms against {:.3} ms a step, {:+.1}%",
        found.stage.as_str(),
        found.matched_on,
        found.input.wall_us / 1000.0,
        found.compare.wall_us / 1000.0,
        found.gap_pct
    );
    format!("{}\n{table}", output::prose(&head))
}

/// The name that a value has in records, as words.
fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|text| text.replace('_', " ")))
        .unwrap_or_default()
}
