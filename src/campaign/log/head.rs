//! The chain's head, kept in the user's state folder, and the mark of its key
//! on every line.
//!
//! A line carries an HMAC under the user's key. Since it covers the hash of the
//! line before, a good mark on the last line answers for all of them. The head
//! tells how long the log was: it is written after the line, without a sync of
//! its own, so that it may lag after a crash, and is never ahead. A log that is
//! shorter than its head, or that goes on without the mark, was changed by
//! another hand.
//!
//! The head's file has two slots of one disk sector each, which are overwritten
//! in turn: a slot that a crash has spoilt leaves the one before it.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::campaign::CampaignError;
use crate::crash::{Point, point};
use crate::disk::{self, DiskError};
use crate::sha256;

/// What the state folder knows of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    seq: u64,
    sha256: String,
    mac: String,
}

const SLOT: usize = 512;
const SLOTS: usize = 2;

/// How a log's last line stands to its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As this user's programs left it.
    Kept,
    /// This user's state folder knows nothing of the log.
    Unknown,
}

/// Marks what this user's programs write of one log.
pub(super) struct Marker {
    key: Vec<u8>,
    log: PathBuf,
    head: PathBuf,
}

impl Marker {
    pub fn of(state_dir: &Path, log: &Path) -> Result<Self, DiskError> {
        let log = canonical(log);
        Ok(Self {
            key: key(state_dir)?,
            head: head_path(state_dir, &log),
            log,
        })
    }

    /// None where the state folder has no head of the log.
    pub fn known(state_dir: &Path, log: &Path) -> Result<Option<Self>, DiskError> {
        if head_path(state_dir, &canonical(log)).exists() {
            Self::of(state_dir, log).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The mark of a line whose content has this hash.
    pub fn mark(&self, content_sha256: &str) -> String {
        let message = format!("line {content_sha256} {}", self.log.display());
        sha256::hmac(&self.key, message.as_bytes())
    }

    fn head_mac(&self, seq: u64, sha256: &str) -> String {
        let message = format!("head {seq} {sha256} {}", self.log.display());
        sha256::hmac(&self.key, message.as_bytes())
    }

    /// Compares the log's last event with the head that was kept.
    pub fn standing(&self, last: Option<&Event>) -> Result<Standing, CampaignError> {
        let tampered = |problem: String| CampaignError::HeadMismatch {
            log: self.log.clone(),
            head: self.head.clone(),
            problem,
        };
        let is_marked = |last: &Event| {
            let content = last.content_sha256();
            content.is_some_and(|content| last.mac == self.mark(&content))
        };
        if !self.head.exists() {
            // Its first line may be older than its head by a crash.
            let begun = last.is_some_and(|last| last.seq == 1 && is_marked(last));
            return Ok(if begun {
                Standing::Kept
            } else {
                Standing::Unknown
            });
        }
        let bytes = disk::read(&self.head)?;
        let newest = bytes
            .chunks(SLOT)
            .take(SLOTS)
            .filter_map(|slot| self.of_slot(slot))
            .max_by_key(|head| head.seq);
        let Some(head) = newest else {
            return Err(tampered(
                "the head is unreadable, or its signature is wrong".to_owned(),
            ));
        };
        let seq = last.map_or(0, |last| last.seq);
        let fits = last.is_some_and(|last| {
            last.seq == head.seq && last.sha256 == head.sha256
                || last.seq > head.seq && is_marked(last)
        });
        if fits {
            Ok(Standing::Kept)
        } else if seq > head.seq {
            Err(tampered(format!(
                "the log goes on to event {seq} with a line that no program of this user wrote; the head is event {}",
                head.seq
            )))
        } else {
            Err(tampered(format!(
                "the log ends with event {seq}, the head is event {} with another content",
                head.seq
            )))
        }
    }

    /// The head of a slot; None where it is empty, spoilt, or signed by
    /// another hand.
    fn of_slot(&self, slot: &[u8]) -> Option<Head> {
        let head: Head = serde_json::from_slice(slot.trim_ascii()).ok()?;
        (head.mac == self.head_mac(head.seq, &head.sha256)).then_some(head)
    }

    /// Puts the head in the place of the one before the last. Not synced: a
    /// power cut leaves an older one.
    pub fn write(&self, event: &Event) -> Result<(), DiskError> {
        let head = Head {
            seq: event.seq,
            sha256: event.sha256.clone(),
            mac: self.head_mac(event.seq, &event.sha256),
        };
        let json = serde_json::to_vec(&head).unwrap_or_default();
        let mut slot = [b' '; SLOT];
        // Two hashes and a number: far less than a slot.
        for (to, from) in slot.iter_mut().zip(json) {
            *to = from;
        }
        let offset = event.seq % SLOTS as u64 * SLOT as u64;
        let Ok(file) = OpenOptions::new().write(true).open(&self.head) else {
            return self.create(offset as usize, &slot);
        };
        let (half, rest) = slot.split_at(SLOT / 4);
        let written = file.write_all_at(half, offset).and_then(|()| {
            point(Point::HalfHead);
            file.write_all_at(rest, offset + half.len() as u64)
        });
        written.map_err(|source| DiskError::Write {
            path: self.head.clone(),
            source,
        })?;
        point(Point::HeadWritten);
        Ok(())
    }

    /// The file with its first head. Behind the slots stands whose it is.
    fn create(&self, offset: usize, slot: &[u8]) -> Result<(), DiskError> {
        let mut bytes = vec![b' '; SLOT * SLOTS];
        if let Some(place) = bytes.get_mut(offset..offset + SLOT) {
            place.copy_from_slice(slot);
        }
        bytes.extend(self.log.as_os_str().as_encoded_bytes());
        bytes.push(b'\n');
        disk::write_atomic(&self.head, &bytes)
    }
}

/// Removes the head of a log that is no more.
pub(super) fn forget(state_dir: &Path, log: &Path) -> Result<(), DiskError> {
    let path = head_path(state_dir, &canonical(log));
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(DiskError::Write { path, source })
        }
        _ => Ok(()),
    }
}

fn head_path(state_dir: &Path, log: &Path) -> PathBuf {
    let name = sha256::hex(log.as_os_str().as_encoded_bytes());
    state_dir
        .join("heads")
        .join(format!("{}.head", name.get(..32).unwrap_or(&name)))
}

/// One log has one path, also before its file exists.
fn canonical(log: &Path) -> PathBuf {
    let parts = log.parent().zip(log.file_name());
    match parts.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name))) {
        Some(path) => path,
        None => log.to_path_buf(),
    }
}

/// The user's key, made at the first use.
fn key(state_dir: &Path) -> Result<Vec<u8>, DiskError> {
    let path = state_dir.join("head.key");
    if let Ok(key) = std::fs::read(&path)
        && key.len() == KEY
    {
        return Ok(key);
    }
    make_key(state_dir, &path)
}

const KEY: usize = 32;

/// Makes the key aside and links it into place: the first of two makers wins.
fn make_key(state_dir: &Path, path: &Path) -> Result<Vec<u8>, DiskError> {
    let wrap = |source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    };
    disk::create_dir(state_dir)?;
    let mut key = vec![0; KEY];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut key))
        .map_err(wrap)?;
    let aside = path.with_extension(format!("{}.tmp", sha256::hex(&key).get(..12).unwrap_or("")));
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&aside)
        .map_err(wrap)?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .map_err(wrap)?;
    point(Point::KeyAside);
    let linked = std::fs::hard_link(&aside, path);
    let _ = std::fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(wrap(error)),
        _ => disk::read(path),
    }
}
