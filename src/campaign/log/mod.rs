//! `lineage.jsonl`: an append-only, hash-chained log, synced before it is acknowledged.
//!
//! An append takes the log's lock, checks the last line against the [`head`]
//! that the user's state folder keeps, writes and syncs the line, then the new
//! head. A process that dies anywhere in between leaves either the old log or
//! the new one, perhaps with a half-written line behind it that the next append
//! cuts off.

mod chain;
#[cfg(test)]
mod crash_tests;
mod event;
mod head;
mod lock;
mod owner;
mod tail;
#[cfg(test)]
mod tests;

pub use event::{Event, FileHash, NewEvent, NewFile};
pub use lock::LockKind;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::CampaignError;
use super::events::LogAdopted;
use crate::crash::{Point, point};
use crate::disk::{self, DiskError};
use crate::sha256;
use crate::state_dir::state_dir;
use chain::Chain;
use head::{Marker, Standing};

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
    state_dir: PathBuf,
    lock: Option<LockKind>,
}

impl EventLog {
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            state_dir: state_dir(),
            lock: None,
        }
    }

    /// Keeps its head in this folder instead of the user's state folder.
    #[must_use]
    pub fn with_state_dir(mut self, dir: &Path) -> Self {
        self.state_dir = dir.to_path_buf();
        self
    }

    /// Locks in this way, whatever the file system.
    #[must_use]
    pub fn with_lock(mut self, kind: LockKind) -> Self {
        self.lock = Some(kind);
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Forgets what an earlier log at this path left in the state folder.
    pub fn forget_head(&self) -> Result<(), CampaignError> {
        Ok(head::forget(&self.state_dir, &self.path)?)
    }

    /// Every event, the chain and its head checked. A torn last line is no event.
    pub fn read(&self) -> Result<Vec<Event>, CampaignError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let chain = chain::read(&self.path)?;
        if self.check(&chain).is_ok() {
            return Ok(chain.events);
        }
        // An append of somebody else may have come in between.
        let _turn = lock::take(&self.path, self.lock)?;
        let chain = chain::read(&self.path)?;
        self.check(&chain)?;
        Ok(chain.events)
    }

    /// Appends one event under the log's lock; it is synced on return.
    pub fn append(&self, new: NewEvent) -> Result<Appended, CampaignError> {
        let files = hashed(&new.files)?;
        self.ready_folder()?;
        let _turn = lock::take(&self.path, self.lock)?;
        point(Point::Locked);
        let (mut file, last) = self.open_tail()?;
        self.write(&mut file, last, new, files)
    }

    /// Reads the whole log under its lock and appends what `decide` makes of
    /// it, so that nothing can happen between the look and the entry.
    pub fn append_after<E: From<CampaignError>>(
        &self,
        decide: impl FnOnce(&[Event]) -> Result<Option<NewEvent>, E>,
    ) -> Result<Option<Appended>, E> {
        self.ready_folder()?;
        let _turn = lock::take(&self.path, self.lock).map_err(CampaignError::from)?;
        let events = if self.path.exists() {
            let chain = chain::read(&self.path)?;
            self.check(&chain)?;
            chain.events
        } else {
            Vec::new()
        };
        let Some(new) = decide(&events)? else {
            return Ok(None);
        };
        let files = hashed(&new.files).map_err(CampaignError::from)?;
        let (mut file, last) = self.open_tail()?;
        Ok(Some(self.write(&mut file, last, new, files)?))
    }

    fn ready_folder(&self) -> Result<(), CampaignError> {
        match self.path.parent() {
            Some(parent) => Ok(disk::create_dir(parent)?),
            None => Ok(()),
        }
    }

    /// The log at its end, a torn line cut off.
    fn open_tail(&self) -> Result<(File, Tail), CampaignError> {
        let wrap = |source| self.failed(source);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(wrap)?;
        let tail = tail::read(&mut file, &self.path)?;
        if tail.torn.is_some() {
            file.set_len(tail.end).map_err(wrap)?;
            point(Point::TailCut);
        }
        file.seek(SeekFrom::Start(tail.end)).map_err(wrap)?;
        Ok((file, tail))
    }

    fn write(
        &self,
        file: &mut File,
        tail: Tail,
        new: NewEvent,
        files: Vec<FileHash>,
    ) -> Result<Appended, CampaignError> {
        let mut last = tail.last;
        let marker = Marker::of(&self.state_dir, &self.path)?;
        let standing = marker.standing(last.as_ref())?;
        if standing == Standing::Unknown
            && let Some(known) = last.take()
        {
            let note = NewEvent::of(&LogAdopted {
                seq: known.seq,
                sha256: known.sha256.clone(),
                reason: "this user's state folder had no head of this log".to_owned(),
            });
            last = Some(self.put(file, &marker, Some(&known), note, Vec::new())?);
        }
        let event = self.put(file, &marker, last.as_ref(), new, files)?;
        Ok(Appended {
            event,
            torn_tail: tail.torn,
        })
    }

    /// Writes the line and syncs it, then the head.
    fn put(
        &self,
        file: &mut File,
        marker: &Marker,
        last: Option<&Event>,
        new: NewEvent,
        files: Vec<FileHash>,
    ) -> Result<Event, CampaignError> {
        let wrap = |source| self.failed(source);
        let mark = |content: &str| marker.mark(content);
        let (event, line) = chain::next(&self.path, mark, last, new, files)?;
        let half = line.len() / 2;
        file.write_all(&line.as_bytes()[..half]).map_err(wrap)?;
        point(Point::HalfLine);
        file.write_all(&line.as_bytes()[half..]).map_err(wrap)?;
        point(Point::WholeLine);
        file.sync_data().map_err(wrap)?;
        point(Point::LineSynced);
        marker.write(&event)?;
        Ok(event)
    }

    fn check(&self, chain: &Chain) -> Result<(), CampaignError> {
        // A log without a head was made elsewhere; the next append takes it over.
        match Marker::known(&self.state_dir, &self.path)? {
            Some(marker) => marker.standing(chain.events.last()).map(|_| ()),
            None => Ok(()),
        }
    }

    fn failed(&self, source: std::io::Error) -> DiskError {
        DiskError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// How a log ends.
struct Tail {
    last: Option<Event>,
    /// Length of the whole lines, in bytes.
    end: u64,
    torn: Option<String>,
}

fn hashed(files: &[NewFile]) -> Result<Vec<FileHash>, DiskError> {
    files
        .iter()
        .map(|file| {
            let (sha256, bytes) = sha256::of_file(&file.path, None)?;
            Ok(FileHash {
                path: file.path.clone(),
                sha256,
                bytes: file.grows.then_some(bytes),
            })
        })
        .collect()
}
