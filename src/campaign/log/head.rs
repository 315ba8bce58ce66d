//! The chain's head, kept under an HMAC in the user's state folder.
//!
//! The head of an event is written before its line, and marked as committed
//! after it: while it is not, the log may be one line short of it, ending with
//! the very line that the head names as its predecessor. Anything else was
//! done by another hand.
//!
//! The file has two slots of one disk sector each, which are overwritten in
//! turn: that needs no new entry in a journal, and a slot that a crash has
//! spoilt leaves the one before it.

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
pub(super) struct Head {
    pub seq: u64,
    pub sha256: String,
    pub prev_sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    head: Head,
    mac: String,
}

const SLOT: usize = 512;
const SLOTS: usize = 2;
/// Where in a slot the mark stands that commits it.
const MARK: usize = 384;
/// What a committed head's mark is made of.
const COMMITTED: &str = "committed";

/// How a log's last line stands to its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// As this user's programs left it.
    Kept,
    /// This user's state folder knows nothing of the log.
    Unknown,
}

impl Head {
    pub fn of(event: &Event) -> Self {
        Self {
            seq: event.seq,
            sha256: event.sha256.clone(),
            prev_sha256: event.prev_sha256.clone(),
        }
    }

    fn mac(&self, key: &[u8], log: &Path, mark: &str) -> String {
        let Self {
            seq,
            sha256,
            prev_sha256,
        } = self;
        let message = format!("{mark} {seq} {sha256} {prev_sha256} {}", log.display());
        sha256::hmac(key, message.as_bytes())
    }

    /// Whether the log ends with this event, or, before it is committed, just
    /// before it.
    fn fits(&self, last: Option<&Event>, committed: bool) -> bool {
        let (seq, sha256) = last.map_or((0, ""), |last| (last.seq, last.sha256.as_str()));
        (seq == self.seq && sha256 == self.sha256)
            || (!committed && seq + 1 == self.seq && sha256 == self.prev_sha256)
    }

    /// Where its slot begins in the file.
    fn offset(&self) -> u64 {
        self.seq % SLOTS as u64 * SLOT as u64
    }

    /// Its slot, not yet committed.
    fn slot(&self, key: &[u8], log: &Path) -> [u8; SLOT] {
        let signed = Signed {
            mac: self.mac(key, log, ""),
            head: self.clone(),
        };
        let json = serde_json::to_vec(&signed).unwrap_or_default();
        let mut slot = [b' '; SLOT];
        // Three hashes and a number: far less than what is before the mark.
        for (to, from) in slot.iter_mut().zip(json.iter().take(MARK)) {
            *to = *from;
        }
        slot[SLOT - 1] = b'\n';
        slot
    }

    /// The head of a slot and whether it is committed; None where the slot is
    /// empty, spoilt, or signed by another hand.
    fn of_slot(slot: &[u8], key: &[u8], log: &Path) -> Option<(Self, bool)> {
        let (json, mark) = slot.split_at_checked(MARK)?;
        let signed: Signed = serde_json::from_slice(json.trim_ascii()).ok()?;
        if signed.head.mac(key, log, "") != signed.mac {
            return None;
        }
        let committed = mark.trim_ascii() == signed.head.mac(key, log, COMMITTED).as_bytes();
        Some((signed.head, committed))
    }
}

/// Compares the log's last event with the head that was kept.
pub(super) fn standing(
    state_dir: &Path,
    log: &Path,
    last: Option<&Event>,
) -> Result<Standing, CampaignError> {
    let log = canonical(log);
    let path = head_path(state_dir, &log);
    let tampered = |problem: String| CampaignError::HeadMismatch {
        log: log.clone(),
        head: path.clone(),
        problem,
    };
    if !path.exists() {
        return Ok(Standing::Unknown);
    }
    let bytes = disk::read(&path)?;
    let key = key(state_dir)?;
    let newest = bytes
        .chunks(SLOT)
        .take(SLOTS)
        .filter_map(|slot| Head::of_slot(slot, &key, &log))
        .max_by_key(|(head, _)| head.seq);
    let Some((head, committed)) = newest else {
        return Err(tampered(
            "the head is unreadable, or its signature is wrong".to_owned(),
        ));
    };
    if !head.fits(last, committed) {
        return Err(tampered(format!(
            "the log ends with event {}, the head is event {} with another content",
            last.map_or(0, |last| last.seq),
            head.seq
        )));
    }
    Ok(Standing::Kept)
}

/// Puts the head in the place of the one before the last.
pub(super) fn write(state_dir: &Path, log: &Path, head: &Head) -> Result<(), CampaignError> {
    let log = canonical(log);
    let path = head_path(state_dir, &log);
    let slot = head.slot(&key(state_dir)?, &log);
    let Ok(file) = OpenOptions::new().write(true).open(&path) else {
        return Ok(create(&path, head, &slot, &log)?);
    };
    let (half, rest) = slot.split_at(MARK / 2);
    let written = file.write_all_at(half, head.offset()).and_then(|()| {
        point(Point::HalfHead);
        file.write_all_at(rest, head.offset() + half.len() as u64)?;
        file.sync_data()
    });
    Ok(written.map_err(|source| DiskError::Write { path, source })?)
}

/// The file with its first head. Behind the slots stands whose it is.
fn create(path: &Path, head: &Head, slot: &[u8], log: &Path) -> Result<(), DiskError> {
    let mut bytes = vec![b' '; SLOT * SLOTS];
    let at = head.offset() as usize;
    if let Some(place) = bytes.get_mut(at..at + SLOT) {
        place.copy_from_slice(slot);
    }
    bytes.extend(log.as_os_str().as_encoded_bytes());
    bytes.push(b'\n');
    disk::write_atomic(path, &bytes)
}

/// Marks the head as one whose event is on disk. Not synced: a mark that a
/// power cut takes away leaves the head as it was before.
pub(super) fn commit(state_dir: &Path, log: &Path, head: &Head) -> Result<(), CampaignError> {
    let log = canonical(log);
    let path = head_path(state_dir, &log);
    let mark = head.mac(&key(state_dir)?, &log, COMMITTED);
    let (half, rest) = mark.split_at(mark.len() / 2);
    let at = head.offset() + MARK as u64;
    let written = OpenOptions::new().write(true).open(&path).and_then(|file| {
        file.write_all_at(half.as_bytes(), at)?;
        point(Point::HalfMark);
        file.write_all_at(rest.as_bytes(), at + half.len() as u64)
    });
    written.map_err(|source| DiskError::Write { path, source })?;
    point(Point::Marked);
    Ok(())
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
