//! Events that tools leave in a campaign.

use std::path::PathBuf;

use super::{Appended, Campaign, CampaignError, EventKind, NewEvent};
use serde_json::Value;

/// Records that something happened, with the files that show it.
pub fn note(
    campaign: &Campaign,
    kind: EventKind,
    body: Value,
    files: Vec<PathBuf>,
) -> Result<Appended, CampaignError> {
    let mut event = NewEvent::new(kind, body);
    event.files = files;
    campaign.log().append(event)
}

/// Files that a benchmark's end rests on, as far as they exist.
pub fn smoke_files(campaign: &Campaign) -> Vec<PathBuf> {
    [
        campaign.rows_path(),
        campaign.root.join("benchmark/summary.md"),
    ]
    .into_iter()
    .filter(|path| path.is_file())
    .collect()
}
