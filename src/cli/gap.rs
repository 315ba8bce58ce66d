//! `sota-loop gap`: the verdict on rows, for a person.

use std::path::PathBuf;

use clap::Args;
use comfy_table::Cell;

use super::output::{self, Mood, Output};
use super::why;
use crate::bench::timeline::{Timeline, read_any};
use crate::fault::Fault;
use crate::gap::{self, GapRecord, GapRequest, ScenarioGap, Verdict};

const EXAMPLES: &str = "\
Examples:
  sota-loop gap out/candidates.jsonl --target sglang
  sota-loop gap out/candidates.jsonl --target sglang --metric p50_ttft_ms

Positive gaps mean that the target is better. docs/gap.md states every rule,
docs/attribution.md how the time is split over causes.";

/// Decide how far a framework is from the leader.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GapArgs {
    /// Rows of a benchmark.
    rows: PathBuf,
    /// The framework whose gap is wanted.
    #[arg(long, default_value = "sglang")]
    target: String,
    /// A metric of the rows.
    #[arg(long, default_value = "request_throughput")]
    metric: String,
    /// A difference that may be, by the name of its field: the comparison is decided all the same.
    #[arg(long, value_name = "FIELD")]
    declare: Vec<String>,
    /// Split the time of every scenario over its causes, not only of those that are behind.
    #[arg(long)]
    causes: bool,
    /// Draw the runs of each scenario over time, as SVG files in this folder.
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
}

pub fn run(args: GapArgs, output: &Output) -> Result<(), Fault> {
    let rows = gap::read_rows(&args.rows)?;
    let request = GapRequest {
        metric: args.metric,
        declared_differences: args.declare,
        ..GapRequest::new(args.target)
    };
    let mut record = gap::check(&request, &rows)?;
    gap::explain_gaps(&mut record, &rows);
    let runs: Vec<_> = record
        .scenarios
        .iter()
        .map(|scenario| runs_of(scenario, &rows))
        .collect();
    if let Some(folder) = &args.pictures {
        for (scenario, runs) in record.scenarios.iter().zip(&runs) {
            if let (Some(explanation), Some((target, leader))) = (&scenario.explanation, runs) {
                let path = folder.join(format!("{}.svg", file_name(&scenario.place())));
                why::draw(&path, target, leader, &why::title(explanation))?;
            }
        }
    }
    output.record(&record, |record| {
        let shown = |scenario: &ScenarioGap| args.causes || scenario.verdict == Verdict::Behind;
        let mut text = human(&without_told(record, shown));
        for (scenario, runs) in record.scenarios.iter().zip(&runs) {
            if let Some(explanation) = scenario.explanation.as_ref().filter(|_| shown(scenario)) {
                let runs = runs.as_ref().map(|(target, leader)| (target, leader));
                text.push_str(&format!(
                    "\n\nwhy {}\n{}",
                    scenario.place(),
                    why::human(explanation, runs)
                ));
            }
        }
        text
    })
}

/// The record without the warnings that its attributions tell. Of one that is
/// not shown only unequal prompts are worth a word.
fn without_told(record: &GapRecord, shown: impl Fn(&ScenarioGap) -> bool) -> GapRecord {
    let mut rest = record.clone();
    for scenario in &record.scenarios {
        let Some(explanation) = &scenario.explanation else {
            continue;
        };
        let place = scenario.place();
        let kept = usize::from(explanation.unequal_prompts.is_some() && !shown(scenario));
        for told in explanation.warnings.iter().skip(kept) {
            let told = format!("{place}: {told}");
            rest.warnings.retain(|warning| *warning != told);
        }
    }
    rest
}

/// Both timelines of a scenario's attribution.
fn runs_of(scenario: &ScenarioGap, rows: &gap::Rows) -> Option<(Timeline, Timeline)> {
    scenario.explanation.as_ref()?;
    let (_, [target, leader]) = gap::middle_pair(scenario, rows)?;
    // The attribution has read both; a picture less is no failure.
    Some((
        read_any(&target.timeline, None).ok()?,
        read_any(&leader.timeline, None).ok()?,
    ))
}

fn file_name(place: &str) -> String {
    place
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// One line a scenario, then the decision and why.
pub(super) fn human(record: &GapRecord) -> String {
    let mut table = output::table(&[
        "scenario",
        "target",
        "leader",
        "n",
        "gap %",
        "95% interval",
        "verdict",
    ]);
    output::right(&mut table, &[3, 4, 5]);
    for scenario in &record.scenarios {
        let mood = match scenario.verdict {
            Verdict::Ahead | Verdict::Tied => Mood::Good,
            Verdict::Undecided if scenario.not_behind => Mood::Good,
            Verdict::Behind => Mood::Bad,
            Verdict::Undecided | Verdict::Blocked => Mood::Doubtful,
        };
        let mut cells = line(scenario).map(Cell::new).to_vec();
        cells.push(output::cell(scenario.standing(), mood));
        table.add_row(cells);
    }
    let mut text = format!("{} of {}\n{table}\n\n", record.metric, record.target);
    for scenario in &record.scenarios {
        for unfair in &scenario.fairness {
            text.push_str(&format!(
                "{}: {} differs: {} against {}\n",
                scenario.place(),
                unfair.field,
                unfair.target,
                unfair.leader
            ));
        }
    }
    if let Some(gap) = record.geomean_gap_pct {
        text.push_str(&format!("geomean gap: {gap:+.2}%\n"));
    }
    for warning in &record.warnings {
        text.push_str(&output::prose(&format!("warning: {warning}")));
        text.push('\n');
    }
    let decision = serde_json::to_value(record.decision)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default();
    let last = format!(
        "decision: {decision} ({})\nnext: {}",
        record.decision_reason, record.next
    );
    text + &output::prose(&last)
}

/// Pairs, with the launches that they rest on where those are fewer.
fn pairs(scenario: &ScenarioGap) -> String {
    let sides = [&scenario.target, &scenario.leader];
    let launches = sides
        .into_iter()
        .flatten()
        .filter_map(|side| side.launches)
        .min();
    match launches.filter(|launches| *launches < scenario.n) {
        Some(launches) => format!("{} ({launches} launches)", scenario.n),
        None => scenario.n.to_string(),
    }
}

fn line(scenario: &ScenarioGap) -> [String; 6] {
    let side = |side: &Option<gap::Side>| match side {
        Some(side) => {
            let mean = side
                .mean
                .map_or_else(String::new, |mean| format!(" {mean:.3}"));
            match output::is_narrow() {
                true => format!("{}{mean}", side.framework),
                false => format!("{} {}{mean}", side.framework, side.candidate_id),
            }
        }
        None => "-".to_owned(),
    };
    [
        scenario.place(),
        side(&scenario.target),
        side(&scenario.leader),
        pairs(scenario),
        scenario
            .gap_pct
            .map_or_else(|| "-".to_owned(), |gap| format!("{gap:+.2}")),
        scenario.ci_pct.map_or_else(
            || "-".to_owned(),
            |[low, high]| format!("{low:+.2} to {high:+.2}"),
        ),
    ]
}
