//! One event with its body decoded.

use crate::campaign::events::Body;
use crate::campaign::log::{Event, FileHash};

#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<B> {
    pub seq: u64,
    pub time: String,
    pub round: Option<u32>,
    /// HEAD's commit and tree when it was written.
    pub commit: Option<String>,
    pub tree: Option<String>,
    pub files: Vec<FileHash>,
    pub body: B,
}

impl<B: Body> Recorded<B> {
    pub fn of(event: &Event) -> Result<Self, serde_json::Error> {
        Ok(Self {
            body: event.body()?,
            seq: event.seq,
            time: event.time.clone(),
            round: event.round,
            commit: event.commit.clone(),
            tree: event.tree.clone(),
            files: event.files.clone(),
        })
    }
}
