//! `analysis/root-cause.md`: the causes that were recorded, the newest first.

use std::fmt::Write;

use super::Table;
use crate::campaign::events::{Citation, RootCause};
use crate::campaign::state::{Recorded, snake};
use crate::campaign::{Campaign, State};

pub fn render(_campaign: &Campaign, state: &State) -> String {
    let mut text = "# Root cause\n".to_owned();
    if state.root_causes.is_empty() {
        text.push_str("\nNone is recorded yet: `update_ledger {\"kind\": \"root_cause\", ...}`.\n");
    }
    for cause in state.root_causes.iter().rev() {
        one(&mut text, state, cause);
    }
    text
}

fn one(text: &mut String, state: &State, cause: &Recorded<RootCause>) {
    let body = &cause.body;
    let _ = writeln!(
        text,
        "\n## Round {}: {} in {}{}\n\n{}\n\nEvent {}, {}, tree `{}`.\n",
        cause.round.unwrap_or(0),
        snake(&body.cause),
        body.stage.as_str(),
        body.scenario
            .as_ref()
            .map_or_else(String::new, |scenario| format!(", {scenario}")),
        body.summary,
        cause.seq,
        cause.time,
        cause.tree.as_deref().unwrap_or("unknown"),
    );
    text.push_str(&rows(state, &body.rows));
    text.push_str("\nSource:\n\n");
    for place in &body.source_paths {
        let lines = place
            .lines
            .map_or_else(String::new, |[first, last]| format!(":{first}-{last}"));
        let _ = writeln!(text, "- `{}{lines}`", place.path.display());
    }
    text.push_str("\nHistory consulted:\n\n");
    for card in &body.cards {
        let what = match (card.pr, &card.path) {
            (Some(pr), _) => format!("#{pr}"),
            (None, Some(path)) => path.clone(),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "- {} {what}", card.framework);
    }
    if body.cards.is_empty() {
        text.push_str("- the notes found nothing to read\n");
    }
}

/// Cited rows with what they say.
pub(super) fn rows(state: &State, citations: &[Citation]) -> String {
    let mut table = Table::new(&["event", "table", "part", "row", "engine", "share"]);
    for citation in citations {
        let cited = state.cited(citation).ok();
        let cited = cited.as_ref();
        table.row([
            citation.event.to_string(),
            snake(&citation.table),
            citation.part.clone().unwrap_or_default(),
            cited.map_or(&citation.row, |cited| &cited.row).clone(),
            cited
                .and_then(|cited| cited.framework.clone())
                .unwrap_or_default(),
            cited
                .and_then(|cited| cited.share_pct)
                .map_or_else(String::new, |share| format!("{share:.1}%")),
        ]);
    }
    table.or("No row is cited.")
}
