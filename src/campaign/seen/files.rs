//! Which files of the log are no longer what they were.
//!
//! A file is hashed again only when its size, times or place on disk are not
//! those of the last look; what was seen is kept in the user's state folder.
//! The time of the last change to the inode cannot be set back by a program.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::campaign::State;
use crate::campaign::log::FileHash;
use crate::state_dir::state_dir;
use crate::{disk, sha256};

/// A file as it was when it was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Device and inode.
    place: (u64, u64),
    /// Hash by length of the hashed part; 0 is the whole.
    hashes: BTreeMap<u64, String>,
}

/// Files that differ from what the log has, and how.
pub fn changed(root: &Path, state: &State) -> BTreeMap<PathBuf, String> {
    let path = cache_path(root);
    let known: BTreeMap<PathBuf, Look> = disk::read(&path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let mut looks = known.clone();
    let mut changed = BTreeMap::new();
    for file in relevant(state) {
        if let Some(difference) = difference(file, &mut looks) {
            changed.insert(file.path.clone(), difference);
        }
    }
    if looks != known {
        let json = serde_json::to_vec(&looks).unwrap_or_default();
        if let Err(error) = disk::write_atomic(&path, &json) {
            tracing::debug!(%error, "hashes were not kept");
        }
    }
    changed
}

/// Files of the events that a gate may rest on.
fn relevant(state: &State) -> impl Iterator<Item = &FileHash> {
    let history = state.history.last().map(|event| &event.files);
    let seal = state.seal.as_ref().map(|event| &event.files);
    let current = state.current_loop().map(|event| &event.files);
    let benchmarks = state.benchmarks.iter().map(|event| &event.files);
    let gaps = state
        .gaps
        .iter()
        .rev()
        .take(NEWEST)
        .map(|event| &event.files);
    let profiles = state
        .profiles
        .iter()
        .rev()
        .take(NEWEST)
        .map(|event| &event.files);
    let pipelines = state
        .pipelines
        .iter()
        .rev()
        .take(NEWEST)
        .map(|event| &event.files);
    let blockers = state.blockers.iter().map(|event| &event.files);
    history
        .into_iter()
        .chain(seal)
        .chain(current)
        .chain(benchmarks.rev().take(NEWEST))
        .chain(gaps)
        .chain(profiles)
        .chain(pipelines)
        .chain(blockers.rev().take(NEWEST))
        .flatten()
}

/// Older events than so many of their kind are not looked after: no gate of
/// the present tree rests on them.
const NEWEST: usize = 64;

fn difference(file: &FileHash, looks: &mut BTreeMap<PathBuf, Look>) -> Option<String> {
    let meta = match std::fs::metadata(&file.path) {
        Ok(meta) => meta,
        Err(error) => return Some(format!("it cannot be read: {error}")),
    };
    if let Some(bytes) = file.bytes
        && meta.len() < bytes
    {
        return Some(format!(
            "it has {} bytes, {bytes} were recorded",
            meta.len()
        ));
    }
    let now = Look {
        size: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
        place: (meta.dev(), meta.ino()),
        hashes: BTreeMap::new(),
    };
    let look = looks
        .entry(file.path.clone())
        .or_insert_with(|| now.clone());
    let stamp = |look: &Look| (look.size, look.modified, look.changed, look.place);
    if stamp(look) != stamp(&now) {
        *look = now;
    }
    let part = file.bytes.unwrap_or(0);
    let hash = match look.hashes.get(&part) {
        Some(hash) => hash.clone(),
        None => match sha256::of_file(&file.path, file.bytes) {
            Ok((hash, _)) => {
                look.hashes.insert(part, hash.clone());
                hash
            }
            Err(error) => return Some(error.to_string()),
        },
    };
    (hash != file.sha256).then(|| "its content is not what was recorded".to_owned())
}

fn cache_path(root: &Path) -> PathBuf {
    let name = sha256::hex(root.as_os_str().as_encoded_bytes());
    state_dir()
        .join("looks")
        .join(format!("{}.json", name.get(..32).unwrap_or(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_cuts_and_removals_are_seen_and_growth_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows");
        let mut looks = BTreeMap::new();
        let mut check = |file: &FileHash| difference(file, &mut looks);
        let whole = FileHash {
            path: path.clone(),
            sha256: sha256::hex(b"abc"),
            bytes: None,
        };
        let growing = FileHash {
            bytes: Some(3),
            ..whole.clone()
        };
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(check(&whole), None);
        assert_eq!(check(&growing), None);
        std::fs::write(&path, b"abcdef").unwrap();
        assert!(check(&whole).is_some());
        assert_eq!(check(&growing), None);
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, b"Xbcdef").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(before).unwrap();
        assert!(check(&growing).is_some(), "its time was set back");
        std::fs::write(&path, b"ab").unwrap();
        assert!(check(&growing).unwrap().contains("2 bytes, 3 were"));
        std::fs::write(&path, b"abX").unwrap();
        assert!(check(&growing).is_some());
        std::fs::remove_file(&path).unwrap();
        assert!(check(&whole).unwrap().contains("cannot be read"));
    }
}
