//! Files that are either whole or absent: write aside, sync, rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::crash::{Point, point};

/// A read or write that failed, with the path that it was about.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl DiskError {
    /// The file or folder that could not be read or written.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Write { path, .. } => path,
        }
    }

    /// Whether it was a write that failed.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, DiskError> {
    fs::read(path).map_err(|source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    })
}

/// Reads a whole UTF-8 file.
pub fn read_text(path: &Path) -> Result<String, DiskError> {
    fs::read_to_string(path).map_err(|source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    })
}

/// Creates a folder and its parents.
pub fn create_dir(path: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(path).map_err(|source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// Replaces a file by way of a synced temporary file beside it, so that a
/// reader or a crash sees the old content or the new, never a part.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<(), DiskError> {
    let wrap = |source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    };
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let aside = aside(path);
    let written = (|| {
        let mut file = File::create(&aside)?;
        file.write_all(content)?;
        file.sync_all()?;
        point(Point::Aside);
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // The failure itself is what the caller needs to hear of.
        let _ = fs::remove_file(&aside);
    }
    written.map_err(wrap)
}

/// Copies a file by way of a temporary one beside it.
pub fn copy_file(from: &Path, to: &Path) -> Result<(), DiskError> {
    if let Some(parent) = to.parent() {
        create_dir(parent)?;
    }
    let aside = aside(to);
    let copied = fs::copy(from, &aside).and_then(|_| fs::rename(&aside, to));
    if copied.is_err() {
        let _ = fs::remove_file(&aside);
    }
    copied.map_err(|source| DiskError::Write {
        path: to.to_path_buf(),
        source,
    })
}

/// Moves a file, also to another file system.
pub fn move_file(from: &Path, to: &Path) -> Result<(), DiskError> {
    if let Some(parent) = to.parent() {
        create_dir(parent)?;
    }
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    copy_file(from, to)?;
    // The copy is whole; what stays behind only takes space.
    let _ = fs::remove_file(from);
    Ok(())
}

/// Appends one line and syncs it; the caller holds whatever lock it needs.
pub fn append_line(path: &Path, line: &str) -> Result<(), DiskError> {
    let wrap = |source| DiskError::Write {
        path: path.to_path_buf(),
        source,
    };
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(wrap)?;
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line.as_bytes());
    whole.push(b'\n');
    file.write_all(&whole).map_err(wrap)?;
    file.sync_data().map_err(wrap)
}

fn aside(path: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    // Two threads may write the same file at once.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{write}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/status.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_failed_write_names_the_path_and_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, b"x").unwrap_err();
        assert!(error.is_write());
        assert!(error.to_string().contains("taken"));
        assert!(path.is_dir());
    }

    #[test]
    fn appends_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        append_line(&path, "a").unwrap();
        append_line(&path, "b").unwrap();
        assert_eq!(read_text(&path).unwrap(), "a\nb\n");
    }
}
