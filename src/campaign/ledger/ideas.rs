//! `source_idea` and `rejected_idea`.

use std::path::Path;

use super::request::{LedgerKind, invalid};
use super::{Moment, cites};
use crate::campaign::checkout::Git;
use crate::campaign::events::{Provenance, RejectedIdea, SourceIdea};
use crate::campaign::log::NewEvent;
use crate::fault::Fault;
use crate::sha256;

/// Longest piece of source that an idea may name, in lines.
const LONGEST: u32 = 2000;

/// An idea with its code: where the server can read the repository, it looks
/// the lines up and hashes them.
pub fn source(moment: &Moment<'_>, mut body: SourceIdea) -> Result<NewEvent, Fault> {
    const KIND: LedgerKind = LedgerKind::SourceIdea;
    moment.require_round()?;
    if body.claim.trim().is_empty() {
        return Err(invalid(KIND, "claim is empty"));
    }
    cites::rows(moment, KIND, "profiler_rows", &body.profiler_rows)?;
    cites::rows(moment, KIND, "layer_rows", &body.layer_rows)?;
    let notes = moment.state.history.last().map(|event| &event.body.notes);
    for (index, card) in body.cards.iter().enumerate() {
        cites::card(notes, card)
            .map_err(|problem| invalid(KIND, format!("cards[{index}]: {problem}")))?;
    }
    for (index, digest) in body.digests.iter().enumerate() {
        if !digest.exists() {
            let path = digest.display();
            return Err(invalid(
                KIND,
                format!("digests[{index}]: {path} does not exist"),
            ));
        }
    }
    if body.provenance.is_empty() {
        return Err(invalid(
            KIND,
            "provenance is empty: name repository, commit, path and lines",
        ));
    }
    for (index, provenance) in body.provenance.iter_mut().enumerate() {
        let wrong = |problem: String| invalid(KIND, format!("provenance[{index}]: {problem}"));
        complete(provenance).map_err(wrong)?;
    }
    let known = moment.state.source_ideas.iter().any(|idea| {
        idea.body.provenance == body.provenance && idea.body.claim.trim() == body.claim.trim()
    });
    if known {
        return Err(invalid(KIND, "this idea is recorded already"));
    }
    Ok(moment.event(&body))
}

fn complete(provenance: &mut Provenance) -> Result<(), String> {
    let [first, last] = provenance.lines;
    if first == 0 || last < first || last - first >= LONGEST {
        return Err(format!(
            "lines {first} to {last}: the first is 1 or more, the last not before it, and at most {LONGEST} lines"
        ));
    }
    if provenance.commit.len() < 40 || !provenance.commit.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("commit: give the whole hash".to_owned());
    }
    if provenance.licence.trim().is_empty() {
        return Err("licence: give its SPDX name, for example Apache-2.0".to_owned());
    }
    let repo = Path::new(&provenance.repo);
    if !repo.is_absolute() {
        provenance.sha256 = None;
        return if provenance.repo.contains("://") {
            Ok(())
        } else {
            Err("repo: an absolute folder of a checkout, or a URL".to_owned())
        };
    }
    let object = format!("{}:{}", provenance.commit, provenance.path);
    let content = Git::at(repo).output(&["show", &object])?;
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let (from, to) = (first as usize - 1, last as usize);
    let named = lines.get(from..to).ok_or_else(|| {
        format!(
            "{} has {} lines at that commit, not {last}",
            provenance.path,
            lines.len()
        )
    })?;
    provenance.sha256 = Some(sha256::hex_of(named.iter().copied()));
    Ok(())
}

pub fn rejected(moment: &Moment<'_>, body: RejectedIdea) -> Result<NewEvent, Fault> {
    const KIND: LedgerKind = LedgerKind::RejectedIdea;
    moment.require_round()?;
    if body.claim.trim().is_empty() || body.reason.trim().is_empty() {
        return Err(invalid(KIND, "claim and reason must say something"));
    }
    if body.evidence.is_empty() {
        return Err(invalid(
            KIND,
            "evidence is empty: cite the rows that speak against it",
        ));
    }
    cites::rows(moment, KIND, "evidence", &body.evidence)?;
    Ok(moment.event(&body))
}
