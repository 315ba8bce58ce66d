//! `root_cause`: why the target is slower, from rows of this tree.

use super::request::{LedgerKind, invalid};
use super::{Moment, cites};
use crate::campaign::events::{RootCause, Table};
use crate::campaign::gates;
use crate::campaign::log::NewEvent;
use crate::fault::Fault;

const KIND: LedgerKind = LedgerKind::RootCause;

pub fn check(moment: &Moment<'_>, body: RootCause) -> Result<NewEvent, Fault> {
    moment.require_round()?;
    if body.summary.trim().is_empty() {
        return Err(invalid(KIND, "summary is empty"));
    }
    cited_rows(moment, &body)?;
    sources(moment, &body)?;
    cards(moment, &body)?;
    Ok(moment.event(&body))
}

/// Rows of the target's tables, or of the gap's timelines, at the present tree.
fn cited_rows(moment: &Moment<'_>, body: &RootCause) -> Result<(), Fault> {
    let cited = cites::rows(moment, KIND, "rows", &body.rows)?;
    let Some(tree) = moment.world.checkout.present_tree() else {
        return Err(invalid(
            KIND,
            "the checkout is not clean: commit or put away the changes",
        ));
    };
    let target = moment.state.target();
    let own = cited.iter().zip(&body.rows).any(|(row, citation)| {
        if citation.table == Table::Attribution {
            row.tree.as_deref() == Some(tree)
        } else {
            gates::counts(&moment.state, &moment.world, tree, citation.event)
        }
    });
    if own {
        Ok(())
    } else {
        Err(invalid(
            KIND,
            format!(
                "rows: at least one must be of {target}'s own report or of the gap's attribution, at the present tree"
            ),
        ))
    }
}

fn sources(moment: &Moment<'_>, body: &RootCause) -> Result<(), Fault> {
    if body.source_paths.is_empty() {
        return Err(invalid(
            KIND,
            "source_paths is empty: name the code that is slow",
        ));
    }
    let Some(head) = moment.world.checkout.head() else {
        return Err(invalid(KIND, "the campaign has no checkout"));
    };
    for (index, place) in body.source_paths.iter().enumerate() {
        cites::source(&head.path, place)
            .map_err(|problem| invalid(KIND, format!("source_paths[{index}]: {problem}")))?;
    }
    Ok(())
}

/// A change of the target's history and one of each leader's, unless the notes
/// hold nothing of it.
fn cards(moment: &Moment<'_>, body: &RootCause) -> Result<(), Fault> {
    let notes = moment.state.history.last().map(|event| &event.body.notes);
    for (index, card) in body.cards.iter().enumerate() {
        cites::card(notes, card)
            .map_err(|problem| invalid(KIND, format!("cards[{index}]: {problem}")))?;
    }
    let target = moment.state.target();
    let leaders = moment
        .state
        .gaps
        .last()
        .into_iter()
        .flat_map(|gap| &gap.body.record.scenarios)
        .filter_map(|scenario| scenario.leader.as_ref())
        .map(|side| side.framework.as_str());
    for framework in std::iter::once(target).chain(leaders) {
        let consulted = body.cards.iter().any(|card| card.framework == framework);
        let absent = notes.is_some_and(|notes| cites::is_absent(notes, framework));
        if !consulted && !absent {
            return Err(invalid(
                KIND,
                format!("cards: name a change of {framework}'s history that was consulted"),
            ));
        }
    }
    Ok(())
}
