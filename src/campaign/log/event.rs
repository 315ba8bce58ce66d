//! One line of the log.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::campaign::events::{Body, EventKind};

/// A file that an event rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileHash {
    pub path: PathBuf,
    pub sha256: String,
    /// Length of the part that was hashed, where the file may grow later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// A file to rest on, before it is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    pub path: PathBuf,
    /// Whether later appends are no change.
    pub grows: bool,
}

/// An event that is not yet written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub kind: EventKind,
    pub round: Option<u32>,
    /// The checkout's HEAD commit and tree, where there is a checkout.
    pub commit: Option<String>,
    pub tree: Option<String>,
    pub body: Value,
    /// Files that it rests on; hashed when it is appended.
    pub files: Vec<NewFile>,
}

impl NewEvent {
    pub fn of<B: Body>(body: &B) -> Self {
        Self {
            kind: B::KIND,
            round: None,
            commit: None,
            tree: None,
            // Plain structs with string keys always serialise.
            body: serde_json::to_value(body).unwrap_or_default(),
            files: Vec::new(),
        }
    }

    /// Rests on a file that never changes again.
    #[must_use]
    pub fn on(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(NewFile {
            path: path.into(),
            grows: false,
        });
        self
    }

    /// Rests on what a file holds now; later appends are no change.
    #[must_use]
    pub fn on_growing(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(NewFile {
            path: path.into(),
            grows: true,
        });
        self
    }

    #[must_use]
    pub fn in_round(mut self, round: Option<u32>) -> Self {
        self.round = round;
        self
    }

    /// At this commit and tree of the checkout.
    #[must_use]
    pub fn at(mut self, commit: Option<String>, tree: Option<String>) -> Self {
        self.commit = commit;
        self.tree = tree;
        self
    }
}

/// One line of the log. Its keys stand in this order, `sha256` last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub time: String,
    pub kind: EventKind,
    pub round: Option<u32>,
    pub commit: Option<String>,
    pub tree: Option<String>,
    pub body: Box<RawValue>,
    pub files: Vec<FileHash>,
    /// Hash of the line before; empty for the first.
    pub prev_sha256: String,
    /// HMAC, under the key of the user whose program wrote it, of the line with
    /// this field and the next one empty.
    #[serde(default)]
    pub mac: String,
    /// Hash of this line with this field empty.
    pub sha256: String,
}

impl Event {
    /// Hash of the line with `mac` and `sha256` empty.
    pub(super) fn content_sha256(&self) -> Option<String> {
        let bare = Self {
            mac: String::new(),
            sha256: String::new(),
            ..self.clone()
        };
        let line = serde_json::to_string(&bare).ok()?;
        Some(crate::sha256::hex(line.as_bytes()))
    }

    /// The body as what its kind says it is.
    pub fn body<B: Body>(&self) -> Result<B, serde_json::Error> {
        serde_json::from_str(self.body.get())
    }
}
