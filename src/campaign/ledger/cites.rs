//! What an entry points at must be there: rows, sources, history cards.

use std::path::{Component, Path, PathBuf};

use super::Moment;
use super::request::{LedgerKind, invalid};
use crate::campaign::Cited;
use crate::campaign::events::{CardRef, Citation, Lines};
use crate::fault::Fault;
use crate::history::{Finding, Notes};

/// The rows of every citation; a wrong one is refused with what is there.
pub fn rows(
    moment: &Moment<'_>,
    kind: LedgerKind,
    field: &str,
    citations: &[Citation],
) -> Result<Vec<Cited>, Fault> {
    citations
        .iter()
        .enumerate()
        .map(|(index, citation)| {
            moment
                .state
                .cited(citation)
                .map_err(|problem| invalid(kind, format!("{field}[{index}]: {problem}")))
        })
        .collect()
}

/// The file of a place in the checkout; it must exist, with its lines.
pub fn source(checkout: &Path, place: &Lines) -> Result<PathBuf, String> {
    let shown = place.path.display();
    let is_inside = place
        .path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_inside || place.path.as_os_str().is_empty() {
        return Err(format!("{shown} is not a path inside the checkout"));
    }
    let path = checkout.join(&place.path);
    if !path.is_file() {
        return Err(format!("{shown} is no file of {}", checkout.display()));
    }
    if let Some([first, last]) = place.lines {
        let text = crate::disk::read(&path).map_err(|error| error.to_string())?;
        let count = text.split(|byte| *byte == b'\n').count() as u32;
        if first == 0 || last < first || last > count {
            return Err(format!(
                "{shown} has lines 1 to {count}, not {first} to {last}"
            ));
        }
    }
    Ok(path)
}

/// A card must be one that the history notes hold.
pub fn card(notes: Option<&Notes>, card: &CardRef) -> Result<(), String> {
    let name = match (card.pr, &card.path) {
        (Some(pr), _) => format!("{} #{pr}", card.framework),
        (None, Some(path)) if !path.is_empty() => format!("{} {path}", card.framework),
        _ => {
            return Err(format!(
                "the card of {} names no pr or path",
                card.framework
            ));
        }
    };
    let Some(notes) = notes else {
        return Err(format!("{name}: no history notes are recorded"));
    };
    let read = notes
        .frameworks
        .iter()
        .filter(|read| read.framework == card.framework)
        .any(|read| match (card.pr, &card.path) {
            (Some(pr), _) => read.prs.contains(&pr),
            (None, Some(path)) => {
                read.paths.iter().any(|known| known.contains(path.as_str()))
                    || read.files.iter().any(|known| known.contains(path.as_str()))
            }
            (None, None) => false,
        });
    let decided = notes.decisions.iter().any(|decision| {
        decision.framework == card.framework && card.pr.is_some() && decision.pr == card.pr
    });
    if read || decided {
        Ok(())
    } else {
        Err(format!(
            "{name} is not in the history notes; query_history with record first"
        ))
    }
}

/// Whether the notes hold nothing of a framework because there was nothing.
pub fn is_absent(notes: &Notes, framework: &str) -> bool {
    let nothing_read = notes
        .frameworks
        .iter()
        .filter(|read| read.framework == framework)
        .all(|read| read.paths.is_empty());
    let no_decision = notes
        .decisions
        .iter()
        .all(|decision| decision.framework != framework);
    let found_absent = notes.findings.iter().any(|finding| {
        matches!(
            finding,
            Finding::NoRoot { .. } | Finding::NoMatch { .. } | Finding::Unreadable { .. }
        )
    });
    // Roots were read and hold nothing of this framework.
    nothing_read && no_decision && (found_absent || !notes.frameworks.is_empty())
}
