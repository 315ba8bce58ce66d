//! The copy of a host's job folder under the local one.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use super::protocol::{Piece, Seen};
use crate::disk::{self, DiskError};
use crate::sha256;

/// `host/` in the local job folder.
#[derive(Debug)]
pub struct Mirror {
    pub dir: PathBuf,
}

impl Mirror {
    pub fn under(job_dir: &Path) -> Self {
        Self {
            dir: job_dir.join("host"),
        }
    }

    /// Forgets what was noted of files that are not here as they were left.
    pub fn check(&self, have: &mut BTreeMap<String, Seen>) {
        have.retain(|path, seen| {
            let local = self.dir.join(path);
            is_inside(path) && fs::metadata(local).is_ok_and(|data| data.len() >= seen.len)
        });
    }

    /// Writes pieces whose bytes follow each other in `bytes`, and notes them.
    pub fn write(
        &self,
        pieces: Vec<Piece>,
        mut bytes: &[u8],
        have: &mut BTreeMap<String, Seen>,
    ) -> Result<(), DiskError> {
        for piece in pieces {
            let path = self.dir.join(&piece.path);
            let wrap = |source| DiskError::Write {
                path: path.clone(),
                source,
            };
            let split = usize::try_from(piece.len)
                .ok()
                .and_then(|len| bytes.split_at_checked(len));
            let (Some((content, rest)), true) = (split, is_inside(&piece.path)) else {
                return Err(wrap(io::Error::other("the host sent no usable file")));
            };
            bytes = rest;
            if piece.offset == 0 && piece.whole {
                disk::write_atomic(&path, content)?;
            } else {
                append(&path, piece.offset, content).map_err(wrap)?;
            }
            have.insert(piece.path, piece.seen);
        }
        Ok(())
    }

    /// Paths whose local copy has another hash than on the host.
    pub fn differing(&self, sums: &BTreeMap<String, String>) -> Vec<String> {
        sums.iter()
            .filter(|(path, sum)| {
                let local = is_inside(path).then(|| sha256::of_file(&self.dir.join(path), None));
                !matches!(local, Some(Ok((local, _))) if local == **sum)
            })
            .map(|(path, _)| path.clone())
            .collect()
    }
}

fn append(path: &Path, offset: u64, content: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    file.set_len(offset)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(content)
}

/// Whether a path that a host names stays below the mirror.
fn is_inside(path: &str) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !path.is_empty() && Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(path: &str, offset: u64, len: u64, whole: bool) -> Piece {
        Piece {
            path: path.to_owned(),
            offset,
            len,
            seen: Seen {
                inode: 1,
                mtime_ns: 1,
                len: offset + len,
            },
            whole,
        }
    }

    #[test]
    fn a_folder_is_copied_as_it_grows() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = Mirror::under(dir.path());
        let mut have = BTreeMap::new();
        let pieces = vec![piece("a/log", 0, 3, false), piece("status", 0, 2, true)];
        mirror.write(pieces, b"oneok", &mut have).unwrap();
        mirror
            .write(vec![piece("a/log", 3, 3, true)], b"two", &mut have)
            .unwrap();
        assert_eq!(disk::read(&mirror.dir.join("a/log")).unwrap(), b"onetwo");
        let sums = BTreeMap::from([
            ("a/log".to_owned(), crate::sha256::hex(b"onetwo")),
            ("status".to_owned(), crate::sha256::hex(b"no")),
            ("absent".to_owned(), String::new()),
        ]);
        assert_eq!(mirror.differing(&sums), ["absent", "status"]);
        fs::write(mirror.dir.join("a/log"), "on").unwrap();
        mirror.check(&mut have);
        assert_eq!(have.keys().collect::<Vec<_>>(), ["status"]);
    }

    #[test]
    fn a_host_cannot_write_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let mirror = Mirror::under(dir.path());
        for path in ["../x", "/tmp/x", "a/../../x", ""] {
            let written = mirror.write(vec![piece(path, 0, 1, true)], b"x", &mut BTreeMap::new());
            assert!(written.is_err(), "{path}");
        }
        let short = mirror.write(vec![piece("x", 0, 9, true)], b"x", &mut BTreeMap::new());
        assert!(short.is_err());
    }
}
