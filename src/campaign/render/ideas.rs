//! `humanize/source-idea-ledger.md`.

use std::fmt::Write;

use super::Table;
use crate::campaign::{Campaign, State};

pub fn render(_campaign: &Campaign, state: &State) -> String {
    let mut text = "# Source ideas\n".to_owned();
    if state.source_ideas.is_empty() {
        text.push_str("\nNone yet.\n");
    }
    for idea in &state.source_ideas {
        let tried: Vec<&str> = state
            .attempts_opened
            .iter()
            .filter(|attempt| attempt.body.ideas.contains(&idea.seq))
            .map(|attempt| attempt.body.id.as_str())
            .collect();
        let _ = writeln!(
            text,
            "\n## Event {}: {}\n\nRound {}; {}.\n",
            idea.seq,
            idea.body.claim,
            idea.round.unwrap_or(0),
            if tried.is_empty() {
                "not tried yet".to_owned()
            } else {
                format!("tried in {}", tried.join(", "))
            }
        );
        let mut table = Table::new(&["repository", "commit", "lines", "licence", "SHA-256"]);
        for code in &idea.body.provenance {
            let [first, last] = code.lines;
            table.row([
                code.repo.clone(),
                code.commit.get(..12).unwrap_or(&code.commit).to_owned(),
                format!("`{}:{first}-{last}`", code.path),
                code.licence.clone(),
                code.sha256.clone().unwrap_or_else(|| "not read".to_owned()),
            ]);
        }
        text.push_str(&table.or("No provenance."));
        let rows: Vec<_> = idea
            .body
            .profiler_rows
            .iter()
            .chain(&idea.body.layer_rows)
            .cloned()
            .collect();
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&super::root_cause::rows(state, &rows));
        }
        for digest in &idea.body.digests {
            let _ = writeln!(text, "\n- digest `{}`", digest.display());
        }
    }
    text
}
