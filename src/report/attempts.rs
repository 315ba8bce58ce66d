//! Every change that was tried, what came of it, and at which commit.

use serde::Serialize;
use serde_json::json;

use super::figure::{Figure, Panel};
use super::files::word;
use super::forest::{Line, forest};
use super::gap::dash;
use super::html::Table;
use super::material::Material;
use crate::campaign::events::AttemptOutcome;
use crate::campaign::{Attempt, AttemptState, State};
use crate::chart::{ChartError, SERIES, SHAPES, Shape, Tone, signed_pct};

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptRow {
    pub id: String,
    pub round: Option<u32>,
    pub change: String,
    pub state: AttemptState,
    pub outcome: Option<AttemptOutcome>,
    pub summary: Option<String>,
    pub commits: Vec<String>,
    pub files: Vec<String>,
    pub tests: usize,
    pub improvement_pct: Option<f64>,
    pub ci_pct: Option<[f64; 2]>,
    /// Tested, correct and faster on the real model.
    pub optimization: bool,
}

/// The attempts of a campaign, oldest first.
pub fn rows(state: &State) -> Vec<AttemptRow> {
    state.attempts().map(|attempt| row(&attempt)).collect()
}

fn row(attempt: &Attempt<'_>) -> AttemptRow {
    let opened = &attempt.opened.body;
    let closed = attempt.closed.map(|closed| &closed.body);
    let measured = closed.and_then(|closed| closed.measured.as_ref());
    AttemptRow {
        id: opened.id.clone(),
        round: attempt.opened.round,
        change: opened.target.change.clone(),
        state: attempt.state(),
        outcome: closed.map(|closed| closed.outcome),
        summary: closed.map(|closed| closed.summary.clone()),
        commits: closed
            .map(|closed| closed.commits.clone())
            .unwrap_or_default(),
        files: closed.map_or_else(Vec::new, |closed| {
            closed
                .files
                .iter()
                .map(|file| file.display().to_string())
                .collect()
        }),
        tests: opened.tests.len(),
        improvement_pct: measured.map(|measured| measured.improvement_pct),
        ci_pct: measured.and_then(|measured| measured.ci_pct),
        optimization: closed.is_some_and(|closed| closed.optimization),
    }
}

pub fn figure(material: &Material) -> Result<Figure, ChartError> {
    let mut figure = Figure::new(
        "attempts",
        "Attempts",
        "Changes to the target, oldest first: improvement of the target at the attempt's tree over its base, with its 95% interval.",
    );
    let Some(attempts) = &material.attempts else {
        return Ok(
            figure.missing("This is a benchmark outside a campaign; attempts belong to campaigns.")
        );
    };
    if attempts.is_empty() {
        return Ok(figure.missing("No attempt was opened yet."));
    }
    let lines: Vec<Line> = attempts.iter().filter_map(line).collect();
    if !lines.is_empty() {
        let alt = lines
            .iter()
            .map(|line| format!("{}: {}", line.name, line.verdict))
            .collect::<Vec<_>>()
            .join("; ");
        let title = "improvement over the attempt's base, geomean, %";
        figure.panels.push(Panel::both("", alt, |width| {
            forest(width, title, &lines, [0.0, 0.0])
        })?);
    }
    figure.table = table(attempts);
    figure.data = json!(attempts);
    Ok(figure)
}

fn line(attempt: &AttemptRow) -> Option<Line> {
    let value = attempt.improvement_pct?;
    let (tone, shape) = look(attempt.outcome);
    let outcome = attempt
        .outcome
        .as_ref()
        .map_or_else(|| "open".to_owned(), word);
    Some(Line {
        name: format!(
            "{} {}",
            attempt.id,
            attempt.change.chars().take(40).collect::<String>()
        ),
        verdict: format!("{} {outcome}", signed_pct(value)),
        value,
        interval: attempt.ci_pct,
        tone,
        shape,
    })
}

fn look(outcome: Option<AttemptOutcome>) -> (Tone, Shape) {
    match outcome {
        Some(AttemptOutcome::Win | AttemptOutcome::PartialWin) => (SERIES[2], SHAPES[2]),
        Some(AttemptOutcome::Regression | AttemptOutcome::Incorrect) => (SERIES[1], SHAPES[3]),
        Some(AttemptOutcome::Neutral) | None => (SERIES[7], SHAPES[1]),
    }
}

fn table(attempts: &[AttemptRow]) -> Table {
    let mut table = Table::new(&[
        "attempt",
        "#round",
        "change",
        "state",
        "outcome",
        "#improvement, %",
        "95% interval, %",
        "commit",
        "files",
        "what came of it",
    ]);
    for attempt in attempts {
        table.row([
            attempt.id.clone(),
            attempt.round.map_or_else(dash, |round| round.to_string()),
            attempt.change.clone(),
            word(&attempt.state),
            attempt.outcome.as_ref().map_or_else(dash, word),
            attempt
                .improvement_pct
                .map_or_else(dash, |value| format!("{value:+.2}")),
            attempt
                .ci_pct
                .map_or_else(dash, |[low, high]| format!("{low:+.2} to {high:+.2}")),
            attempt
                .commits
                .last()
                .map_or_else(dash, |commit| commit.chars().take(12).collect()),
            attempt.files.join(", "),
            attempt.summary.clone().unwrap_or_default(),
        ]);
    }
    table
}
