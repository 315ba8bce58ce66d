//! The content of tracked files against HEAD, byte by byte: neither the index's
//! memory of sizes and times nor a filter has a say.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::{answer, output, zero_ended};
use crate::sha256;

/// A file's size, times and place on disk.
type Stamp = (u64, (i64, i64), (i64, i64), (u64, u64));

/// Raw blob ids by file, as long as its stamp stays; kept for the process.
static KNOWN: LazyLock<Mutex<HashMap<PathBuf, (Stamp, String)>>> = LazyLock::new(Mutex::default);

/// Longest blob that may be a pointer of git LFS.
const LONGEST_POINTER: usize = 1024;

/// Tracked files, relative to `top`, whose bytes are not those of HEAD. Line
/// ends and encodings that a tracked `.gitattributes` converts are no
/// difference, nor is the content that a pointer of git LFS names. Links and
/// submodules are left to `git status`.
pub fn differing(top: &Path) -> Result<Vec<String>, String> {
    let tree = output(top, &["ls-tree", "-r", "-z", "--full-tree", "HEAD"])?;
    let wanted: Vec<(String, String)> = zero_ended(&tree)
        .filter_map(|entry| {
            let (facts, path) = entry.split_once('\t')?;
            let mut facts = facts.split(' ');
            let (mode, _, id) = (facts.next()?, facts.next()?, facts.next()?);
            (mode.starts_with("100") && !path.contains('\n'))
                .then(|| (path.to_owned(), id.to_owned()))
        })
        .collect();
    let stamps: Vec<Option<Stamp>> = wanted
        .iter()
        .map(|(path, _)| stamp(&top.join(path)))
        .collect();
    hash_unknown(top, &wanted, &stamps)?;
    let mut differing = Vec::new();
    for ((path, id), stamp) in wanted.iter().zip(&stamps) {
        // What is not there, git itself reports as deleted or left out.
        if stamp.is_some() && known(&top.join(path), *stamp).as_deref() != Some(id) {
            differing.push((path, id));
        }
    }
    let mut found = Vec::new();
    for (path, id) in differing {
        if !is_converted(top, path, id)? && !is_lfs(top, path, id)? {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = path.symlink_metadata().ok()?;
    meta.is_file().then(|| {
        (
            meta.len(),
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
            (meta.dev(), meta.ino()),
        )
    })
}

fn known(path: &Path, stamp: Option<Stamp>) -> Option<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, id) = known.get(path)?;
    (Some(*at) == stamp).then(|| id.clone())
}

/// Hashes the files that changed since they were last hashed.
fn hash_unknown(
    top: &Path,
    wanted: &[(String, String)],
    stamps: &[Option<Stamp>],
) -> Result<(), String> {
    let unknown: Vec<(&str, Stamp)> = wanted
        .iter()
        .zip(stamps)
        .filter_map(|((path, _), stamp)| Some((path.as_str(), (*stamp)?)))
        .filter(|(path, stamp)| known(&top.join(path), Some(*stamp)).is_none())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let paths: Vec<&str> = unknown.iter().map(|(path, _)| *path).collect();
    let ids = hash(top, &["--no-filters"], &paths)?;
    let mut memory = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for ((path, stamp), id) in unknown.into_iter().zip(ids) {
        memory.insert(top.join(path), (stamp, id));
    }
    Ok(())
}

/// Blob ids of files, in order.
fn hash(top: &Path, options: &[&str], paths: &[&str]) -> Result<Vec<String>, String> {
    let arguments = [&["hash-object", "--stdin-paths"], options].concat();
    let answer = answer(top, &arguments, (paths.join("\n") + "\n").into_bytes())?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let ids: Vec<String> = text.lines().map(str::to_owned).collect();
    if answer.status.success() && ids.len() == paths.len() {
        return Ok(ids);
    }
    let complaint = String::from_utf8_lossy(&answer.stderr);
    Err(format!("git hash-object: {}", complaint.trim()))
}

/// Whether only line ends or an encoding differ: no filter program is at work,
/// and as git would store it the file is HEAD's.
fn is_converted(top: &Path, path: &str, id: &str) -> Result<bool, String> {
    let attribute = output(top, &["check-attr", "-z", "filter", "--", path])?;
    let has_filter = zero_ended(&attribute).nth(2).as_deref() != Some("unspecified");
    Ok(!has_filter
        && hash(top, &[], &[path])?
            .first()
            .is_some_and(|stored| stored == id))
}

/// Whether HEAD has a pointer of git LFS that names this file's content.
fn is_lfs(top: &Path, path: &str, id: &str) -> Result<bool, String> {
    let blob = output(top, &["cat-file", "blob", id])?;
    let pointer = String::from_utf8_lossy(&blob);
    if blob.len() > LONGEST_POINTER || !pointer.starts_with("version https://git-lfs") {
        return Ok(false);
    }
    let named = pointer
        .lines()
        .find_map(|line| line.strip_prefix("oid sha256:"));
    let (content, _) = sha256::of_file(&top.join(path), None).map_err(|error| error.to_string())?;
    Ok(named == Some(content.as_str()))
}
