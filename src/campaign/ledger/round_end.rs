//! `round_end`: what the round gave, as the server computes it.

use super::Moment;
use super::request::{LedgerKind, RoundEndRequest, invalid};
use crate::campaign::State;
use crate::campaign::events::RoundEnded;
use crate::campaign::log::NewEvent;
use crate::fault::Fault;

pub fn check(moment: &Moment<'_>, request: RoundEndRequest) -> Result<NewEvent, Fault> {
    const KIND: LedgerKind = LedgerKind::RoundEnd;
    moment.require_round()?;
    if request.summary.trim().is_empty() {
        return Err(invalid(KIND, "summary is empty"));
    }
    if let Some(open) = moment.state.open_attempt() {
        return Err(invalid(
            KIND,
            format!(
                "attempt {} is open: close it first, as done or rejected",
                open.id()
            ),
        ));
    }
    let state = &moment.state;
    let accepted = accepted(state);
    let body = RoundEnded {
        summary: request.summary,
        next_patch: request.next_patch.filter(|patch| !patch.trim().is_empty()),
        improvement_pct: improvement(state, &accepted),
        accepted,
        gap_pct: state
            .gaps
            .last()
            .and_then(|gap| gap.body.record.geomean_gap_pct),
    };
    Ok(moment.event(&body))
}

/// Attempts of this round that were accepted.
fn accepted(state: &State) -> Vec<String> {
    state
        .attempts_closed
        .iter()
        .filter(|closed| closed.seq > state.round_began() && closed.body.accepted)
        .map(|closed| closed.body.id.clone())
        .collect()
}

/// The improvements of the round's accepted attempts, one after another.
fn improvement(state: &State, accepted: &[String]) -> Option<f64> {
    let factors: Vec<f64> = state
        .attempts_closed
        .iter()
        .filter(|closed| accepted.contains(&closed.body.id))
        .filter_map(|closed| closed.body.measured.as_ref())
        .map(|measured| 1.0 + measured.improvement_pct / 100.0)
        .collect();
    (!factors.is_empty()).then(|| 100.0 * (factors.iter().product::<f64>() - 1.0))
}
