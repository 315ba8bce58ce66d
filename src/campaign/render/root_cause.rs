//! `analysis/root-cause.md`: where the gap's time goes, then the causes that
//! were recorded, the newest first, each after the attribution that it had.

use std::fmt::Write;

use super::Table;
use crate::campaign::events::{Citation, GapChecked, RootCause};
use crate::campaign::state::{Recorded, snake};
use crate::campaign::{Campaign, State};

pub fn render(_campaign: &Campaign, state: &State) -> String {
    let mut text = "# Root cause\n".to_owned();
    let newest = attributed(state, u64::MAX);
    if let Some(gap) = newest {
        text.push_str("\n## Where the time goes\n");
        text.push_str(&attribution(gap, None));
    }
    if state.root_causes.is_empty() {
        text.push_str(
            "\nNo cause is recorded yet: `update_ledger {\"kind\": \"root_cause\", ...}`.\n",
        );
    }
    for cause in state.root_causes.iter().rev() {
        let before =
            attributed(state, cause.seq).filter(|gap| newest.is_some_and(|new| new.seq != gap.seq));
        one(&mut text, state, cause, before);
    }
    text
}

/// The newest gap decision before an event that says where the time goes.
fn attributed(state: &State, before: u64) -> Option<&Recorded<GapChecked>> {
    state.gaps.iter().rev().find(|gap| {
        let mut scenarios = gap.body.record.scenarios.iter();
        gap.seq < before && scenarios.any(|scenario| scenario.attribution.is_some())
    })
}

/// Each scenario's causes, the one of that name only where one is given.
fn attribution(gap: &Recorded<GapChecked>, only: Option<&str>) -> String {
    let mut text = String::new();
    for scenario in &gap.body.record.scenarios {
        let Some(causes) = &scenario.attribution else {
            continue;
        };
        if only.is_some_and(|only| only != scenario.scenario) {
            continue;
        }
        let mut table = Table::new(&["cause", "seconds", "share", "evidence"]);
        for cause in causes {
            table.row([
                cause.cause.clone(),
                format!("{:+.2}", cause.seconds),
                format!("{:.1}%", cause.share_pct),
                cause.evidence.clone(),
            ]);
        }
        let look = scenario
            .where_to_look
            .as_ref()
            .map_or_else(String::new, |area| format!(" Look at: {area}."));
        let _ = write!(
            text,
            "\n{}, {} (event {}).{look}\n\n{}",
            scenario.scenario,
            scenario.standing(),
            gap.seq,
            table.or("No cause.")
        );
    }
    text
}

fn one(
    text: &mut String,
    state: &State,
    cause: &Recorded<RootCause>,
    gap: Option<&Recorded<GapChecked>>,
) {
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
    if let Some(gap) = gap {
        text.push_str("Where the time went:\n");
        text.push_str(&attribution(gap, body.scenario.as_deref()));
        text.push('\n');
    }
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
