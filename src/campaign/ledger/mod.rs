//! `update_ledger`: what the agent learned or is about to do, checked by the
//! gates and written into the log.
//!
//! Every entry is decided under the log's lock, on the log as it is then and
//! on the checkout as the server sees it.

mod attempt;
mod blocker;
mod causes;
mod cites;
mod close;
mod ideas;
mod request;
mod root_cause;
mod round_end;
#[cfg(test)]
mod tests;

pub use request::{
    AttemptRequest, AttemptStep, BlockerRequest, LedgerEntry, LedgerKind, RoundEndRequest,
};

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gates::{self, GateState, World};
use super::log::{Event, NewEvent};
use super::{Campaign, CampaignError, State, brief, render};
use crate::campaign::events::{Body, EventKind};
use crate::fault::Fault;

/// What became of an entry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRecord {
    /// Number of the event, for citations; of a check that goes on, the event
    /// that started it.
    pub event: u64,
    pub kind: EventKind,
    pub round: u32,
    /// The body as it was recorded, long lists and texts cut.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub recorded: Value,
    /// Whether `recorded` was cut; the log has all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The job that was started, or goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Gates as they stand now.
    pub gates: Vec<GateState>,
    /// Rendered files that show it.
    pub paths: Vec<PathBuf>,
    pub warnings: Vec<String>,
    /// The next call that makes sense.
    pub next: String,
}

/// The log and the world at the moment of an entry.
struct Moment<'a> {
    campaign: &'a Campaign,
    state: State,
    world: World,
}

impl Moment<'_> {
    /// A step of a round: one loop runs, and no commit is unclaimed.
    fn require_round(&self) -> Result<(), CampaignError> {
        gates::require([
            gates::started(&self.state, &self.world),
            gates::unclaimed_change(&self.state, &self.world),
        ])
    }

    /// An event of the present round at the checkout's HEAD.
    fn event<B: Body>(&self, body: &B) -> NewEvent {
        NewEvent::of(body)
            .in_round(Some(self.state.round()))
            .at(self.world.checkout.commit(), self.world.checkout.tree())
    }
}

/// Checks an entry and records it.
pub fn update(campaign: &Campaign, entry: LedgerEntry) -> Result<LedgerRecord, Fault> {
    super::jobs::settle(campaign)?;
    match entry {
        LedgerEntry::RootCause(body) => write(campaign, |moment| root_cause::check(moment, body)),
        LedgerEntry::SourceIdea(body) => write(campaign, |moment| ideas::source(moment, body)),
        LedgerEntry::RejectedIdea(body) => write(campaign, |moment| ideas::rejected(moment, body)),
        LedgerEntry::Blocker(request) => {
            let fact = blocker::see(campaign, &request)?;
            write(campaign, |moment| blocker::check(moment, request, fact))
        }
        LedgerEntry::RoundEnd(request) => {
            write(campaign, |moment| round_end::check(moment, request))
        }
        LedgerEntry::Attempt(request) => attempt::step(campaign, *request),
    }
}

/// Decides and writes one entry, then renders what the log now says.
fn write(
    campaign: &Campaign,
    decide: impl FnOnce(&Moment<'_>) -> Result<NewEvent, Fault>,
) -> Result<LedgerRecord, Fault> {
    let log = campaign.log();
    let appended = log.append_after(|events: &[Event]| -> Result<_, Fault> {
        let state = State::fold(log.path(), events)?;
        let world = campaign.look(&state);
        let moment = Moment {
            campaign,
            state,
            world,
        };
        decide(&moment).map(Some)
    })?;
    let event = appended.map(|appended| appended.event);
    record(campaign, event, None)
}

/// What is told of an event.
fn record(
    campaign: &Campaign,
    event: Option<Event>,
    job_id: Option<String>,
) -> Result<LedgerRecord, Fault> {
    let state = campaign.state()?;
    let rendered = render::all(campaign, &state)?;
    let world = campaign.look(&state);
    let gates = gates::evaluate(&state, &world);
    let next = super::outlook::next(campaign, &state, &world, &gates);
    let event = event.ok_or_else(|| {
        Fault::new(
            crate::fault::FaultCode::Internal,
            "the entry was not written",
            "this is a defect of sota-loop; please report it",
        )
    })?;
    let (recorded, truncated) =
        brief::value(serde_json::from_str(event.body.get()).unwrap_or_default());
    Ok(LedgerRecord {
        event: event.seq,
        kind: event.kind,
        round: state.round(),
        recorded,
        truncated,
        job_id,
        gates: brief::gates(&gates),
        paths: rendered.paths,
        warnings: rendered.warnings,
        next,
    })
}

/// What is told of a checks job once it was waited for: its end, if it came.
pub fn after_checks(campaign: &Campaign, record: LedgerRecord) -> Result<LedgerRecord, Fault> {
    super::jobs::settle(campaign)?;
    let events = campaign.log().read()?;
    let ended = events.into_iter().rev().find(|event| {
        event.kind == EventKind::ChecksRan
            && event
                .body::<super::events::ChecksRan>()
                .is_ok_and(|ran| Some(ran.job_id) == record.job_id)
    });
    match ended {
        Some(event) => self::record(campaign, Some(event), record.job_id),
        None => Ok(record),
    }
}
