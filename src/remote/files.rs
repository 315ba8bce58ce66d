//! The files of a job folder: which there are, what is new in them, their hashes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::protocol::{Piece, Seen};

/// Bytes of one answer.
const MOST: u64 = 8 << 20;
/// Folders below the job's; real ones have five.
const DEEPEST: usize = 12;

/// Every regular file that is evidence, by its path below `dir`.
pub fn list(dir: &Path) -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    walk(dir, "", 0, &mut found);
    found
}

fn walk(dir: &Path, lead: &str, depth: usize, found: &mut BTreeMap<String, Seen>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Locks and reserves are no content; dot files are being written.
        if name.starts_with('.') || matches!(name.as_str(), "lock" | "reserve" | "cancel") {
            continue;
        }
        let Ok(data) = entry.metadata() else { continue };
        let path = format!("{lead}{name}");
        if data.is_dir() && depth < DEEPEST {
            walk(&entry.path(), &format!("{path}/"), depth + 1, found);
        } else if data.is_file() {
            let seen = Seen {
                inode: data.ino(),
                mtime_ns: data.mtime().wrapping_mul(1_000_000_000) + data.mtime_nsec(),
                len: data.len(),
            };
            found.insert(path, seen);
        }
    }
}

/// What the files have more than `have`: what was appended, or all of a file
/// that was replaced. At most 8 MiB; `true` when there is more.
pub fn news(dir: &Path, have: &BTreeMap<String, Seen>) -> io::Result<(Vec<Piece>, Vec<u8>, bool)> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    for (path, now) in list(dir) {
        let before = have.get(&path);
        if before == Some(&now) {
            continue;
        }
        let offset = match before {
            Some(before) if before.inode == now.inode && before.len < now.len => before.len,
            _ => 0,
        };
        let room = MOST.saturating_sub(bytes.len() as u64);
        if room == 0 {
            return Ok((pieces, bytes, true));
        }
        let Ok(mut file) = File::open(dir.join(&path)) else {
            // Replaced or removed since it was listed; the next look tells.
            continue;
        };
        file.seek(SeekFrom::Start(offset))?;
        let wanted = (now.len - offset).min(room);
        let read = file.take(wanted).read_to_end(&mut bytes)? as u64;
        pieces.push(Piece {
            path,
            offset,
            len: read,
            seen: Seen {
                len: offset + read,
                ..now
            },
            whole: offset + read >= now.len,
        });
        if offset + read < now.len {
            return Ok((pieces, bytes, true));
        }
    }
    Ok((pieces, bytes, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_bytes_come_once_and_replaced_files_whole() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a/log");
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(&log, "one").unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        let mut have = BTreeMap::new();
        let mut take = || {
            let (pieces, bytes, more) = news(dir.path(), &have).unwrap();
            assert!(!more);
            let told: Vec<_> = pieces
                .iter()
                .map(|piece| (piece.path.clone(), piece.offset, piece.len))
                .collect();
            have.extend(pieces.into_iter().map(|piece| (piece.path, piece.seen)));
            (told, String::from_utf8(bytes).unwrap())
        };
        assert_eq!(take(), (vec![("a/log".to_owned(), 0, 3)], "one".to_owned()));
        assert_eq!(take(), (vec![], String::new()));
        let mut file = File::options().append(true).open(&log).unwrap();
        io::Write::write_all(&mut file, b"two").unwrap();
        assert_eq!(take(), (vec![("a/log".to_owned(), 3, 3)], "two".to_owned()));
        crate::disk::write_atomic(&log, b"whole").unwrap();
        assert_eq!(
            take(),
            (vec![("a/log".to_owned(), 0, 5)], "whole".to_owned())
        );
    }

    #[test]
    fn a_large_file_comes_in_several_answers() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("big"), vec![7; (MOST + 5) as usize]).unwrap();
        let (pieces, bytes, more) = news(dir.path(), &BTreeMap::new()).unwrap();
        assert!(more && !pieces[0].whole);
        assert_eq!(bytes.len() as u64, MOST);
        let have = BTreeMap::from([("big".to_owned(), pieces[0].seen)]);
        let (pieces, bytes, more) = news(dir.path(), &have).unwrap();
        assert_eq!((pieces[0].offset, bytes.len(), more), (MOST, 5, false));
    }
}
