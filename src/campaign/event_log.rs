//! `lineage.jsonl`: an append-only, hash-chained log, synced before it is acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CampaignError;
use crate::disk::{self, DiskError};
use crate::{job, sha256};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    CampaignOpened,
    BenchmarkStarted,
    BenchmarkEnded,
    GapChecked,
}

/// A file that an event rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileHash {
    pub path: PathBuf,
    pub sha256: String,
}

/// An event that is not yet written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub kind: EventKind,
    pub round: Option<u32>,
    /// The checkout's HEAD commit and tree, where there is a checkout.
    pub commit: Option<String>,
    pub tree: Option<String>,
    pub body: Value,
    /// Files that it rests on; hashed when it is appended.
    pub files: Vec<PathBuf>,
}

impl NewEvent {
    pub fn new(kind: EventKind, body: Value) -> Self {
        Self {
            kind,
            round: None,
            commit: None,
            tree: None,
            body,
            files: Vec::new(),
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub time: String,
    pub kind: EventKind,
    pub round: Option<u32>,
    pub commit: Option<String>,
    pub tree: Option<String>,
    pub body: Value,
    pub files: Vec<FileHash>,
    /// Hash of the line before; empty for the first.
    pub prev_sha256: String,
    /// Hash of this line with this field empty.
    pub sha256: String,
}

impl Event {
    fn digest(&self) -> String {
        let mut bare = self.clone();
        bare.sha256 = String::new();
        sha256::hex(serde_json::to_string(&bare).unwrap_or_default().as_bytes())
    }
}

/// An event that is on disk, and what was mended on the way.
#[derive(Debug)]
pub struct Appended {
    pub event: Event,
    /// A half-written last line that a crash left was cut off.
    pub torn_tail: Option<String>,
}

/// The log of one campaign.
#[derive(Debug, Clone)]
pub struct EventLog {
    path: PathBuf,
}

impl EventLog {
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every event, the chain checked. A torn last line is not an event.
    pub fn read(&self) -> Result<Vec<Event>, CampaignError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let text = disk::read_text(&self.path)?;
        Ok(self.parse(&text)?.0)
    }

    /// Appends one event under the log's lock; it is synced on return.
    pub fn append(&self, new: NewEvent) -> Result<Appended, CampaignError> {
        if let Some(parent) = self.path.parent() {
            disk::create_dir(parent)?;
        }
        let wrap = |source| DiskError::Write {
            path: self.path.clone(),
            source,
        };
        let _turn = self.lock()?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(wrap)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(wrap)?;
        let (events, good, torn_tail) = self.split(&text)?;
        let event = next_event(events.last(), new)?;
        let mut line = serde_json::to_string(&event).unwrap_or_default();
        line.push('\n');
        file.set_len(good as u64).map_err(wrap)?;
        file.seek(SeekFrom::Start(good as u64)).map_err(wrap)?;
        file.write_all(line.as_bytes()).map_err(wrap)?;
        file.sync_data().map_err(wrap)?;
        Ok(Appended { event, torn_tail })
    }

    fn lock(&self) -> Result<File, CampaignError> {
        let path = self.path.with_extension("lock");
        let wrap = |source| DiskError::Write {
            path: path.clone(),
            source,
        };
        let file = File::create(&path).map_err(wrap)?;
        file.lock().map_err(wrap)?;
        Ok(file)
    }

    fn split(&self, text: &str) -> Result<(Vec<Event>, usize, Option<String>), CampaignError> {
        let (events, good) = self.parse(text)?;
        let torn = text.get(good..).filter(|rest| !rest.is_empty());
        Ok((events, good, torn.map(str::to_owned)))
    }

    /// Events and the length of the text that they take.
    fn parse(&self, text: &str) -> Result<(Vec<Event>, usize), CampaignError> {
        let mut events: Vec<Event> = Vec::new();
        let mut good = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if !line.ends_with('\n') {
                break;
            }
            let broken = |problem: String| CampaignError::BrokenChain {
                path: self.path.clone(),
                line: index + 1,
                problem,
            };
            let event: Event = serde_json::from_str(line)
                .map_err(|error| broken(format!("this is no event: {error}")))?;
            let before = events.last().map_or("", |event| event.sha256.as_str());
            if event.prev_sha256 != before || event.seq != index as u64 + 1 {
                return Err(broken(
                    "it does not follow the line before; a line was changed or removed".to_owned(),
                ));
            }
            if event.digest() != event.sha256 {
                return Err(broken("its content does not match its hash".to_owned()));
            }
            good += line.len();
            events.push(event);
        }
        Ok((events, good))
    }
}

fn next_event(last: Option<&Event>, new: NewEvent) -> Result<Event, CampaignError> {
    let files = new
        .files
        .into_iter()
        .map(|path| {
            Ok(FileHash {
                sha256: sha256::hex(&disk::read(&path)?),
                path,
            })
        })
        .collect::<Result<Vec<_>, DiskError>>()?;
    let mut event = Event {
        seq: last.map_or(1, |last| last.seq + 1),
        time: job::now(),
        kind: new.kind,
        round: new.round,
        commit: new.commit,
        tree: new.tree,
        body: redacted(new.body),
        files,
        prev_sha256: last.map_or_else(String::new, |last| last.sha256.clone()),
        sha256: String::new(),
    };
    event.sha256 = event.digest();
    Ok(event)
}

/// The body with secrets in any string replaced.
fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(crate::redact::redact(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, redacted(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
#[path = "event_log_tests.rs"]
mod tests;
