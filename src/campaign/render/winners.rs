//! Benchmark tables from gap decisions, and the winners' commands.

use std::fmt::Write;

use super::Table;
use super::markdown::{or_dash, pct};
use crate::campaign::State;
use crate::campaign::events::{BenchmarkLabel, GapChecked};
use crate::campaign::state::Recorded;
use crate::gap::Side;

/// Target and leader of every scenario of a gap decision.
pub fn benchmark_table(gap: &GapChecked) -> String {
    let mut table = Table::new(&[
        "scenario",
        "target",
        "leader",
        "n",
        "gap",
        "95% interval",
        "verdict",
        "drift",
    ]);
    for scenario in &gap.record.scenarios {
        table.row([
            load(
                scenario.scenario.clone(),
                scenario.request_rate,
                scenario.max_concurrency,
            ),
            side(scenario.target.as_ref()),
            side(scenario.leader.as_ref()),
            scenario.n.to_string(),
            pct(scenario.gap_pct),
            scenario.ci_pct.map_or_else(
                || "–".to_owned(),
                |[low, high]| format!("{low:+.2} to {high:+.2}"),
            ),
            scenario.standing().to_owned(),
            pct(scenario.drift_pct),
        ]);
    }
    table.or("No scenario was measured.")
}

fn load(scenario: String, rate: Option<f64>, cap: Option<f64>) -> String {
    match (rate, cap) {
        (None, None) => scenario,
        (Some(rate), None) => format!("{scenario}, {rate} req/s"),
        (None, Some(cap)) => format!("{scenario}, {cap} in flight"),
        (Some(rate), Some(cap)) => format!("{scenario}, {rate} req/s, {cap} in flight"),
    }
}

fn side(side: Option<&Side>) -> String {
    side.map_or_else(
        || "–".to_owned(),
        |side| {
            let mean = side
                .mean
                .map_or_else(|| "–".to_owned(), |mean| format!("{mean:.3}"));
            format!("{} {} {mean}", side.framework, side.candidate_id)
        },
    )
}

/// The newest gap decision that counts: of a revalidation, else of the baseline.
pub fn best_rows(state: &State) -> Option<&Recorded<GapChecked>> {
    let newest =
        |label: BenchmarkLabel| state.gaps.iter().rev().find(|gap| gap.body.label == label);
    newest(BenchmarkLabel::Revalidation).or_else(|| newest(BenchmarkLabel::Baseline))
}

/// The command of every framework's winner, ready to paste.
pub fn commands(state: &State) -> String {
    let mut text = String::new();
    let sealed = state.seal.iter().flat_map(|seal| &seal.body.frameworks);
    for framework in sealed {
        let _ = writeln!(
            text,
            "- {} {} (`{}`):\n\n  ```sh\n  {}\n  ```",
            framework.framework,
            or_dash(framework.version.as_deref()),
            framework.candidates.join("`, `"),
            or_dash(framework.command.as_deref()),
        );
    }
    if text.is_empty() {
        let newest = state
            .benchmarks
            .iter()
            .rev()
            .find(|ended| ended.body.label != BenchmarkLabel::Smoke);
        for outcome in newest.iter().flat_map(|ended| &ended.body.frameworks) {
            let _ = writeln!(
                text,
                "- {}: `{}`",
                outcome.framework,
                or_dash(outcome.command.as_deref())
            );
        }
    }
    if text.is_empty() {
        text.push_str("Nothing is measured yet.\n");
    }
    text
}
