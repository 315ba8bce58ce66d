//! Events that the measuring and reading tools leave in a campaign, each with
//! the files that it rests on.

mod digest;
mod gap;
mod history;
mod profile;

pub use digest::{digest, tried_edits};
pub use gap::{GapQuestion, gap, gap_question, gap_rows};
pub use history::history;
pub use profile::{ProfileFacts, capture, pipeline, profile};

use std::path::Path;

use super::events::{BlockerCause, CaptureEnded, Supplied};
use super::log::{Appended, NewEvent};
use super::state::Recorded;
use super::{Campaign, CampaignError, State};
use crate::job::JobState;

/// Records that something happened.
pub fn note(campaign: &Campaign, event: NewEvent) -> Result<Appended, CampaignError> {
    campaign.log().append(event)
}

/// The capture whose traces a path belongs to: the last with the innermost folder.
fn capture_of<'a>(state: &'a State, path: &Path) -> Option<&'a Recorded<CaptureEnded>> {
    state
        .captures
        .iter()
        .filter(|capture| {
            let body = &capture.body;
            body.state == JobState::Done
                && ((!body.folder.as_os_str().is_empty() && path.starts_with(&body.folder))
                    || body.traces.iter().any(|trace| trace == path))
        })
        .max_by_key(|capture| (capture.body.folder.components().count(), capture.seq))
}

/// What shows that a trace of a framework could not be captured here.
fn supplied(state: &State, framework: &str) -> Option<Supplied> {
    let blocked = state.blockers.iter().rev().find(|blocker| {
        blocker.body.proves(BlockerCause::CaptureImpossible)
            && blocker
                .body
                .framework
                .as_deref()
                .is_none_or(|named| named == framework)
    });
    let failed = state.captures.iter().rev().find(|capture| {
        capture.body.framework == framework
            && capture.body.sealed_winner
            && capture.body.state == JobState::Failed
    });
    blocked
        .map(|blocker| blocker.seq)
        .or(failed.map(|capture| capture.seq))
        .map(|event| Supplied { event })
}
