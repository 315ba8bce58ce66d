//! Files that a report reads beside the rows.

use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk;

/// Folders below a root are searched this deep, and this many entries are seen.
const DEEPEST: usize = 6;
const MOST_ENTRIES: usize = 20_000;
/// Larger files are no report of ours.
const LARGEST: u64 = 64 << 20;

/// A path as it is, or, where its folder was moved, the same tail below `base`.
pub fn found(path: &Path, base: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_path_buf());
    }
    let parts: Vec<Component<'_>> = path.components().collect();
    (1..parts.len())
        .map(|from| parts.iter().skip(from).collect::<PathBuf>())
        .map(|tail| base.join(tail))
        .find(|path| path.is_file())
}

/// Files of that name below some folders of `base`, newest first.
pub fn named(base: &Path, folders: &[&str], name: &str) -> Vec<PathBuf> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    let mut left = MOST_ENTRIES;
    let mut open: Vec<(PathBuf, usize)> = folders
        .iter()
        .map(|folder| (base.join(folder), 0))
        .collect();
    while let Some((folder, depth)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if left == 0 {
                break;
            }
            left -= 1;
            // Links are not followed: they could lead in circles.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && depth < DEEPEST {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() && entry.file_name() == name {
                let changed = entry.metadata().and_then(|meta| meta.modified());
                found.push((changed.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// What those files hold, each file once; one of another layout is passed over.
pub fn parse_all<T: DeserializeOwned>(paths: &[PathBuf]) -> Vec<T> {
    let mut seen: Vec<&Path> = Vec::new();
    paths
        .iter()
        .filter_map(|path| {
            if seen.contains(&path.as_path()) {
                return None;
            }
            seen.push(path);
            let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= LARGEST);
            let bytes = small.then(|| disk::read(path).ok()).flatten()?;
            serde_json::from_slice(&bytes).ok()
        })
        .collect()
}

/// The name that a value has in records, as words.
pub fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(|text| text.replace('_', " ")))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_folder_is_found_by_its_tail() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("jobs/b1/raw.zst");
        disk::write_atomic(&kept, b"x").unwrap();
        let old = Path::new("/gone/campaign/jobs/b1/raw.zst");
        assert_eq!(found(old, dir.path()), Some(kept));
        assert_eq!(found(Path::new("/gone/other"), dir.path()), None);
    }

    #[test]
    fn files_are_found_by_name_below_the_folders() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("profiles/0/sglang/report.json");
        disk::write_atomic(&wanted, b"{}").unwrap();
        disk::write_atomic(&dir.path().join("other/report.json"), b"{}").unwrap();
        assert_eq!(named(dir.path(), &["profiles"], "report.json"), [wanted]);
    }
}
