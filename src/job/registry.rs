//! Where each job's folder is, in the user's state folder.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JobError;
use crate::disk;
use crate::nearest::nearest;
use crate::state_dir::state_dir;

/// One entry: enough to find a job and to see that its spec is unchanged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub id: String,
    pub dir: PathBuf,
    pub spec_sha256: String,
}

fn by_id(id: &str) -> PathBuf {
    state_dir().join("jobs").join(format!("{id}.json"))
}

fn by_key(key: &str) -> PathBuf {
    state_dir().join("keys").join(format!("{key}.json"))
}

/// Serialises submissions of one key over all servers of this user.
pub(super) fn lock_key(key: &str) -> Result<File, JobError> {
    let path = state_dir().join("keys").join(format!("{key}.lock"));
    if let Some(parent) = path.parent() {
        disk::create_dir(parent)?;
    }
    let wrap = |source| JobError::Lock {
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(wrap)?;
    file.lock().map_err(wrap)?;
    Ok(file)
}

pub(super) fn record(entry: &Entry, key: &str) -> Result<(), JobError> {
    let json = serde_json::to_vec_pretty(entry).unwrap_or_default();
    disk::write_atomic(&by_id(&entry.id), &json)?;
    disk::write_atomic(&by_key(key), &json)?;
    Ok(())
}

pub(super) fn find_key(key: &str) -> Option<Entry> {
    load(&by_key(key))
}

pub(super) fn find(id: &str) -> Result<Entry, JobError> {
    // An id is a file name here: nothing that could leave the folder.
    let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    plain
        .then(|| load(&by_id(id)))
        .flatten()
        .ok_or_else(|| JobError::Unknown {
            id: id.to_owned(),
            nearest: nearest_id(id),
        })
}

fn nearest_id(id: &str) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(state_dir().join("jobs"))
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".json")?.to_owned())
        })
        .collect();
    nearest(id, names.iter().map(String::as_str)).map(str::to_owned)
}

fn load(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&disk::read(path).ok()?).ok()
}
