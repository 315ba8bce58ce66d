//! The chain's head, kept under an HMAC in the user's state folder.
//!
//! The head of an event is written before its line, and marked as committed
//! after it: while it is not, the log may be one line short of it, ending with
//! the very line that the head names as its predecessor. Anything else was
//! done by another hand.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::campaign::CampaignError;
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
    log: PathBuf,
    #[serde(flatten)]
    head: Head,
    mac: String,
}

/// What follows a head's line once its event is on disk.
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
}

/// Compares the log's last event with the head that was kept.
pub(super) fn standing(
    state_dir: &Path,
    log: &Path,
    last: Option<&Event>,
) -> Result<Standing, CampaignError> {
    let log = canonical(log);
    let path = head_path(state_dir, &log);
    let tampered = |problem: &str| CampaignError::HeadMismatch {
        log: log.clone(),
        head: path.clone(),
        problem: problem.to_owned(),
    };
    if !path.exists() {
        return Ok(Standing::Unknown);
    }
    let text = disk::read_text(&path)?;
    let (line, mark) = text.split_once('\n').unwrap_or((&text, ""));
    let signed: Signed = serde_json::from_str(line)
        .map_err(|error| tampered(&format!("the head is unreadable: {error}")))?;
    let key = key(state_dir)?;
    if signed.head.mac(&key, &log, "") != signed.mac {
        return Err(tampered("the head's signature is wrong"));
    }
    let committed = mark == signed.head.mac(&key, &log, COMMITTED);
    if !signed.head.fits(last, committed) {
        let at = last.map_or(0, |last| last.seq);
        return Err(tampered(&format!(
            "the log ends with event {at}, the head is event {} with another content",
            signed.head.seq
        )));
    }
    Ok(Standing::Kept)
}

/// Replaces the head.
pub(super) fn write(state_dir: &Path, log: &Path, head: &Head) -> Result<(), CampaignError> {
    let log = canonical(log);
    let signed = Signed {
        mac: head.mac(&key(state_dir)?, &log, ""),
        head: head.clone(),
        log: log.clone(),
    };
    let mut json = serde_json::to_vec(&signed).unwrap_or_default();
    json.push(b'\n');
    Ok(disk::write_atomic(&head_path(state_dir, &log), &json)?)
}

/// Marks the head as one whose event is on disk. Not synced: a mark that a
/// power cut takes away leaves the head as it was before.
pub(super) fn commit(state_dir: &Path, log: &Path, head: &Head) -> Result<(), CampaignError> {
    let log = canonical(log);
    let path = head_path(state_dir, &log);
    let mark = head.mac(&key(state_dir)?, &log, COMMITTED);
    let mut file = OpenOptions::new()
        .append(true)
        .open(&path)
        .map_err(|source| DiskError::Write {
            path: path.clone(),
            source,
        })?;
    file.write_all(mark.as_bytes())
        .map_err(|source| DiskError::Write { path, source }.into())
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
        .join(format!("{}.json", name.get(..32).unwrap_or(&name)))
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
    let linked = std::fs::hard_link(&aside, path);
    let _ = std::fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(wrap(error)),
        _ => disk::read(path),
    }
}
