//! `sota-loop why`: where the time between two runs went, for a person.

use std::path::PathBuf;

use clap::Args;

use super::output::{self, Output};
use crate::bench::timeline::{Timeline, picture, read_any, read_log, sparklines};
use crate::disk;
use crate::fault::{Fault, FaultCode};
use crate::gap::attribution::{Explanation, explain, parse_run};

const EXAMPLES: &str = "\
Examples:
  sota-loop why sglang.jsonl vllm.json --target-log sglang.log --leader-log vllm.log
  sota-loop why out/a.timeline.jsonl out/b.timeline.jsonl --picture why.svg

A run is a timeline.jsonl of ours, the JSON of `vllm bench serve --save-result
--save-detailed`, or the JSONL of `sglang.bench_serving --output-file --output-details`.
Logs tell the KV capacity, preemptions and the tokens that the server counted.
docs/attribution.md states the model.";

/// Split the difference of two runs over its causes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WhyArgs {
    /// The run that is asked about.
    target: PathBuf,
    /// The run that it is compared with.
    leader: PathBuf,
    /// Log of the target's server.
    #[arg(long, value_name = "FILE")]
    target_log: Option<PathBuf>,
    /// Log of the leader's server.
    #[arg(long, value_name = "FILE")]
    leader_log: Option<PathBuf>,
    /// Which run of the target's file, from 1 [default: the last].
    #[arg(long, value_name = "N")]
    target_run: Option<usize>,
    /// Which run of the leader's file, from 1 [default: the last].
    #[arg(long, value_name = "N")]
    leader_run: Option<usize>,
    /// Draw both runs over time into an SVG file.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

pub fn run(args: WhyArgs, output: &Output) -> Result<(), Fault> {
    let side = |path: &PathBuf, log: &Option<PathBuf>, run| -> Result<Timeline, Fault> {
        let mut timeline = read_any(path, run)?;
        if let Some(log) = log {
            timeline.add_log(&read_log(log, 0)?);
        }
        Ok(timeline)
    };
    let target = side(&args.target, &args.target_log, args.target_run)?;
    let leader = side(&args.leader, &args.leader_log, args.leader_run)?;
    let as_run =
        |timeline: &Timeline, path: &PathBuf| parse_run(timeline.to_lines().as_slice(), path);
    let explanation = explain(
        &as_run(&target, &args.target)?,
        &as_run(&leader, &args.leader)?,
    )
    .ok_or_else(|| {
        Fault::new(
            FaultCode::InvalidInput,
            "neither run decodes long enough to measure a step, or the runs do not fit the model",
            "give runs with longer outputs",
        )
    })?;
    if let Some(path) = &args.picture {
        draw(path, &target, &leader, &title(&explanation))?;
    }
    output.record(&explanation, |explanation| {
        human(explanation, Some((&target, &leader)))
    })
}

/// Writes the picture of two runs.
pub(super) fn draw(
    path: &std::path::Path,
    target: &Timeline,
    leader: &Timeline,
    title: &str,
) -> Result<(), Fault> {
    let svg = picture(target, leader, title).map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            error.to_string(),
            "leave --picture out; please report it",
        )
    })?;
    Ok(disk::write_atomic(path, svg.as_bytes())?)
}

/// What the picture is called.
pub(super) fn title(explanation: &Explanation) -> String {
    format!(
        "{} {:.1} s, {} {:.1} s",
        named(&explanation.target.framework, "target"),
        explanation.target.wall_s,
        named(&explanation.leader.framework, "leader"),
        explanation.leader.wall_s
    )
}

fn named<'a>(framework: &'a str, otherwise: &'a str) -> &'a str {
    if framework.is_empty() {
        otherwise
    } else {
        framework
    }
}

/// Cells of a sparkline at most, and columns that its name and scale take.
const CELLS: usize = 64;
const BESIDE: usize = 30;

/// The causes, what the timelines show, and both runs as lines of blocks.
pub(super) fn human(explanation: &Explanation, runs: Option<(&Timeline, &Timeline)>) -> String {
    let mut text = String::new();
    for warning in &explanation.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let (target, leader) = (&explanation.target, &explanation.leader);
    text.push_str(&format!(
        "{} took {:.2} s, {} {:.2} s: {:+.2} s ({:+.1}%)\n",
        named(&target.framework, "target"),
        target.wall_s,
        named(&leader.framework, "leader"),
        leader.wall_s,
        explanation.difference_s,
        100.0 * explanation.difference_s / leader.wall_s,
    ));
    text.push_str(&format!("{}\n", causes(explanation)));
    if let (Some(area), Some(look_at)) = (&explanation.where_to_look, &explanation.look_at) {
        text.push_str(&format!("\nlook at the {area}: {}\n", look_at.first));
        if !look_at.flags.is_empty() {
            text.push_str(&format!("  flags: {}\n", look_at.flags.join(" ")));
        }
        if !look_at.sources.is_empty() {
            text.push_str(&format!("  sources: {}\n", look_at.sources.join(" ")));
        }
    }
    text.push('\n');
    for line in &explanation.observations {
        text.push_str(&format!("{line}\n"));
    }
    for change in explanation
        .what_if
        .iter()
        .filter(|c| c.seconds.abs() >= 0.01)
    {
        text.push_str(&format!(
            "{:+.2} s with {}\n",
            change.seconds, change.change
        ));
    }
    let model = &explanation.model;
    text.push_str(&format!(
        "model: {:.2} s ({:+.1}%) and {:.2} s ({:+.1}%)\n",
        model.target_s, model.target_error_pct, model.leader_s, model.leader_error_pct
    ));
    if let Some((target, leader)) = runs {
        text.push('\n');
        let cells = usize::from(output::width())
            .saturating_sub(BESIDE)
            .clamp(8, CELLS);
        for (name, line) in sparklines(target, leader, cells) {
            text.push_str(&format!("{name:<16} {line}\n"));
        }
    }
    output::prose(text.trim_end())
}

fn causes(explanation: &Explanation) -> comfy_table::Table {
    let mut table = output::table(&["cause", "seconds", "share %", "evidence"]);
    output::right(&mut table, &[1, 2]);
    for row in &explanation.attribution {
        table.add_row([
            row.cause.clone(),
            format!("{:+.2}", row.seconds),
            format!("{:.1}", row.share_pct),
            row.evidence.clone(),
        ]);
    }
    table
}
