//! `history`: the PR history was read before anything is measured.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::history::{Finding, Notes};

const NEXT: &str = "query_history {\"record\": {\"decisions\": [{\"pr\": 12345, \"influenced\": \"which decision\", \"risk\": \"what could break\"}]}}";

pub fn history(state: &State, world: &World) -> GateState {
    let missing = match state.history.last() {
        None => vec!["history notes: none are recorded".to_owned()],
        Some(recorded) => {
            let mut missing = world.differences(&recorded.files);
            missing.extend(gaps(&recorded.body.notes, state));
            missing
        }
    };
    GateState::of(Gate::History, missing, NEXT)
}

/// What the notes lack.
fn gaps(notes: &Notes, state: &State) -> Option<String> {
    let read_something = notes
        .frameworks
        .iter()
        .any(|framework| !framework.paths.is_empty());
    if notes.decisions.is_empty() {
        if read_something {
            return Some(
                "a decision that the changes found have influenced, with its risk".to_owned(),
            );
        }
        return absence(notes, state);
    }
    let whole = notes.decisions.iter().any(|decision| {
        !decision.path.as_os_str().is_empty()
            && !decision.influenced.trim().is_empty()
            && !decision.risk.trim().is_empty()
            && (decision.pr.is_some() || !decision.files.is_empty())
    });
    (!whole).then(|| {
        "a decision that names a path, a PR or files, a risk and what it influenced".to_owned()
    })
}

/// With nothing read, only what the server itself found absent counts, and
/// only for the campaign's own model.
fn absence(notes: &Notes, state: &State) -> Option<String> {
    if notes.findings.is_empty() {
        return Some("the notes name neither a change nor why there is none".to_owned());
    }
    let model = state.inputs().and_then(|inputs| inputs.model.as_deref());
    let is_no_root = notes
        .findings
        .iter()
        .any(|finding| matches!(finding, Finding::NoRoot { .. }));
    (!is_no_root && notes.model.as_deref() != model).then(|| {
        format!(
            "the notes were asked about {}, the campaign is about {}",
            notes.model.as_deref().unwrap_or("no model"),
            model.unwrap_or("no model")
        )
    })
}
