//! `history_recorded`.

use super::note;
use crate::campaign::events::HistoryRecorded;
use crate::campaign::log::{Appended, NewEvent};
use crate::campaign::{Campaign, CampaignError};
use crate::history::QueryRecord;

/// Records the notes of a query, if it wrote any.
pub fn history(
    campaign: &Campaign,
    query: &QueryRecord,
) -> Result<Option<Appended>, CampaignError> {
    let (Some(notes), Some(path)) = (&query.notes, &query.notes_path) else {
        return Ok(None);
    };
    let body = HistoryRecorded {
        notes: notes.clone(),
        notes_path: path.clone(),
    };
    let mut event = NewEvent::of(&body).on(path);
    let json = path.with_extension("json");
    if json.is_file() {
        event = event.on(json);
    }
    note(campaign, event).map(Some)
}
