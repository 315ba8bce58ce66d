//! `humanize/attempt-ledger.md` and `optimization-ledger.md`.

use super::Table;
use super::markdown::{or_dash, pct};
use crate::campaign::state::{Attempt, snake};
use crate::campaign::{Campaign, State};

/// Every attempt.
pub fn attempts(campaign: &Campaign, state: &State) -> String {
    let mut table = Table::new(&[
        "attempt",
        "round",
        "state",
        "outcome",
        "change",
        "improvement",
        "interval",
        "files",
        "patch",
        "summary",
    ]);
    for attempt in state.attempts() {
        table.row(row(campaign, attempt));
    }
    let mut rejected = Table::new(&["event", "idea", "why not"]);
    for idea in &state.rejected_ideas {
        rejected.row([
            idea.seq.to_string(),
            idea.body.claim.clone(),
            idea.body.reason.clone(),
        ]);
    }
    format!(
        "# Attempts\n\n{}\n## Rejected ideas\n\n{}",
        table.or("None yet."),
        rejected.or("None yet.")
    )
}

fn row(campaign: &Campaign, attempt: Attempt<'_>) -> [String; 10] {
    let closed = attempt.closed.map(|closed| &closed.body);
    let measured = closed.and_then(|closed| closed.measured.as_ref());
    let files: Vec<String> = closed
        .map(|closed| &closed.files)
        .into_iter()
        .flatten()
        .map(|file| file.display().to_string())
        .collect();
    [
        attempt.id().to_owned(),
        attempt.opened.round.unwrap_or(0).to_string(),
        snake(&attempt.state()),
        closed.map_or_else(String::new, |closed| snake(&closed.outcome)),
        attempt.opened.body.target.change.clone(),
        pct(measured.map(|measured| measured.improvement_pct)),
        measured.and_then(|measured| measured.ci_pct).map_or_else(
            || "–".to_owned(),
            |[low, high]| format!("{low:+.2} to {high:+.2}"),
        ),
        files.join(", "),
        closed
            .and_then(|closed| closed.patch.as_ref())
            .map_or_else(String::new, |patch| {
                let short = patch.strip_prefix(&campaign.root).unwrap_or(patch);
                short.display().to_string()
            }),
        closed.map_or_else(String::new, |closed| closed.summary.clone()),
    ]
}

/// Only changes that were tested, are correct, and made the real model faster.
pub fn optimizations(campaign: &Campaign, state: &State) -> String {
    let mut table = Table::new(&[
        "attempt",
        "change",
        "improvement",
        "interval",
        "revalidation",
        "tests",
        "greedy outputs",
        "base tree",
        "tree",
        "patch",
    ]);
    for attempt in state.attempts() {
        let Some(closed) = attempt.closed.filter(|closed| closed.body.optimization) else {
            continue;
        };
        let tree = closed.tree.as_deref().unwrap_or_default();
        let checks = state
            .checks_of(attempt.id(), tree)
            .map(|checks| &checks.body);
        let cells = row(campaign, attempt);
        table.row([
            cells[0].clone(),
            cells[4].clone(),
            cells[5].clone(),
            cells[6].clone(),
            closed
                .body
                .measured
                .as_ref()
                .map_or_else(String::new, |measured| format!("event {}", measured.event)),
            checks.map_or_else(String::new, |checks| {
                let passed = checks.tests.iter().filter(|test| test.passed).count();
                format!("{passed} of {}", checks.tests.len())
            }),
            checks
                .and_then(|checks| checks.greedy.as_ref())
                .map_or_else(String::new, |greedy| {
                    format!("{} of {} equal", greedy.identical, greedy.prompts)
                }),
            closed.body.base_tree.clone(),
            or_dash(Some(tree)).to_owned(),
            cells[8].clone(),
        ]);
    }
    format!("# Optimizations\n\n{}", table.or("None yet."))
}
