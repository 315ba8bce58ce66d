//! Waiting until an engine's trace files are whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::CaptureError;
use crate::trace::{is_trace_name, rank_of, unpack_only};

/// How deep below the named folder traces are looked for.
const MOST_DEPTH: usize = 3;
const POLL: Duration = Duration::from_millis(250);
/// Without a new file or byte for so long, no further rank is expected.
const SETTLED: Duration = Duration::from_secs(2);

/// A whole trace file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    pub path: PathBuf,
    pub rank: u32,
    pub bytes: u64,
}

/// Where traces of one recording are expected.
#[derive(Debug)]
pub struct Landing<'a> {
    pub dir: &'a Path,
    /// Files that were there before, or were changed before, are not of this recording.
    pub since: SystemTime,
    /// Ranks to wait for, from 0 up.
    pub ranks: u32,
    pub limit: Duration,
    /// What is waited for, for messages.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    bytes: u64,
    /// Whether the size was the same at the look before.
    stable: bool,
    /// Size at which it was found whole, or why it is not.
    checked: Option<(u64, Result<(), String>)>,
}

impl Landing<'_> {
    /// Waits for whole traces of the lowest ranks. Fewer than asked are enough
    /// once nothing new has come for a while.
    pub async fn wait(&self) -> Result<Vec<Landed>, CaptureError> {
        let started = Instant::now();
        let mut files: BTreeMap<PathBuf, Seen> = BTreeMap::new();
        let mut changed = Instant::now();
        loop {
            if self.look(&mut files) {
                changed = Instant::now();
            }
            check_stable(&mut files).await;
            if let Some(landed) = self.landed(&files, changed.elapsed() >= SETTLED) {
                return Ok(landed);
            }
            if started.elapsed() >= self.limit {
                return Err(CaptureError::TraceIncomplete {
                    what: self.what.clone(),
                    dir: self.dir.to_path_buf(),
                    waited_s: self.limit.as_secs(),
                    seen: told(&files),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Takes in what is in the folder now; true when anything has changed.
    fn look(&self, files: &mut BTreeMap<PathBuf, Seen>) -> bool {
        let mut found = Vec::new();
        // A folder that is not there yet holds nothing.
        let _ = walk(self.dir, MOST_DEPTH, self.since, &mut found);
        let mut any = false;
        for (path, bytes) in found {
            let seen = files.entry(path).or_insert(Seen {
                bytes: u64::MAX,
                stable: false,
                checked: None,
            });
            seen.stable = seen.bytes == bytes;
            any |= !seen.stable;
            seen.bytes = bytes;
        }
        any
    }

    /// The traces to keep, lowest rank first, once they are all there.
    fn landed(&self, files: &BTreeMap<PathBuf, Seen>, settled: bool) -> Option<Vec<Landed>> {
        let mut whole: Vec<Landed> = files
            .iter()
            .filter(|(_, seen)| is_whole(seen))
            .map(|(path, seen)| Landed {
                path: path.clone(),
                rank: rank_of(&file_name(path)).unwrap_or(0),
                bytes: seen.bytes,
            })
            .collect();
        whole.sort_by_key(|landed| landed.rank);
        let has_all = (0..self.ranks).all(|rank| whole.iter().any(|landed| landed.rank == rank));
        let rest_is_whole = files.values().all(is_whole);
        let nothing_more = settled && rest_is_whole && !whole.is_empty();
        if !(has_all || nothing_more) {
            return None;
        }
        let mut ranks: Vec<u32> = whole.iter().map(|landed| landed.rank).collect();
        ranks.dedup();
        ranks.truncate(self.ranks as usize);
        whole.retain(|landed| ranks.contains(&landed.rank));
        Some(whole)
    }
}

fn is_whole(seen: &Seen) -> bool {
    matches!(&seen.checked, Some((bytes, Ok(()))) if *bytes == seen.bytes)
}

/// Reads files that have stopped growing through to their end.
async fn check_stable(files: &mut BTreeMap<PathBuf, Seen>) {
    for (path, seen) in files {
        let known = seen
            .checked
            .as_ref()
            .is_some_and(|(bytes, _)| *bytes == seen.bytes);
        if !seen.stable || known {
            continue;
        }
        let path = path.clone();
        let verdict = tokio::task::spawn_blocking(move || check_whole(&path))
            .await
            .unwrap_or_else(|error| Err(error.to_string()));
        seen.checked = Some((seen.bytes, verdict));
    }
}

/// Whether a packed file unpacks to its trailer, and a plain one ends as JSON does.
fn check_whole(path: &Path) -> Result<(), String> {
    let bytes = unpack_only(path).map_err(|error| {
        use std::error::Error;
        error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    if bytes == 0 {
        return Err("it is empty".to_owned());
    }
    if !file_name(path).ends_with(".json") {
        return Ok(());
    }
    let end = last_bytes(path).map_err(|error| error.to_string())?;
    match end.trim_ascii_end().last() {
        Some(b'}' | b']') => Ok(()),
        _ => Err("it does not end as JSON does".to_owned()),
    }
}

fn last_bytes(path: &Path) -> io::Result<Vec<u8>> {
    const END: u64 = 64;
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(end)
}

fn walk(
    dir: &Path,
    depth: usize,
    since: SystemTime,
    found: &mut Vec<(PathBuf, u64)>,
) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        // A file may be renamed between the two looks.
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, since, found)?;
            }
        } else if is_trace_name(&file_name(&path))
            && meta.modified().is_ok_and(|time| time >= since)
        {
            found.push((path, meta.len()));
        }
    }
    Ok(())
}

fn told(files: &BTreeMap<PathBuf, Seen>) -> String {
    if files.is_empty() {
        return "no file came".to_owned();
    }
    files
        .iter()
        .map(|(path, seen)| {
            let problem = match &seen.checked {
                Some((bytes, Err(problem))) if *bytes == seen.bytes => problem.as_str(),
                Some((bytes, Ok(()))) if *bytes == seen.bytes => "whole",
                _ => "still growing",
            };
            format!("{} ({} bytes, {problem})", file_name(path), seen.bytes)
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The last part of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn landing(dir: &Path, ranks: u32) -> Landing<'_> {
        Landing {
            dir,
            since: SystemTime::UNIX_EPOCH,
            ranks,
            limit: Duration::from_millis(100),
            what: "decode".to_owned(),
        }
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    #[tokio::test]
    async fn a_truncated_file_is_told_with_its_size_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let whole = packed("{\"traceEvents\": []}");
        let name = "rank0.1.pt.trace.json.gz";
        fs::write(dir.path().join(name), &whole[..whole.len() - 4]).unwrap();
        let mut landing = landing(dir.path(), 1);
        landing.limit = Duration::from_secs(1);
        let error = landing.wait().await.unwrap_err().to_string();
        assert!(error.contains("no whole trace of decode"), "{error}");
        assert!(
            error.contains(&format!("{name} ({} bytes, ", whole.len() - 4)),
            "{error}"
        );
        fs::write(dir.path().join(name), &whole).unwrap();
        let landed = landing.wait().await.unwrap();
        assert_eq!(landed[0].bytes, whole.len() as u64);
    }

    #[tokio::test]
    async fn the_lowest_ranks_are_waited_for_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(dir.path().join(name), packed("{}")).unwrap();
        write("1-TP-1.trace.json.gz");
        write("host_1.async_llm.2.pt.trace.json.gz");
        let mut one = landing(dir.path(), 1);
        one.limit = Duration::from_secs(1);
        let error = one.wait().await.unwrap_err().to_string();
        assert!(error.contains("TP-1") && error.contains("whole"), "{error}");
        write("1-TP-0.trace.json.gz");
        let kept = one.wait().await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].rank, 0);
        let mut four = landing(dir.path(), 4);
        four.limit = Duration::from_secs(10);
        let ranks: Vec<u32> = four.wait().await.unwrap().iter().map(|l| l.rank).collect();
        assert_eq!(ranks, [0, 1]);
    }

    #[tokio::test]
    async fn older_files_are_not_of_this_recording() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("trace.json"), "{\"traceEvents\": []}").unwrap();
        let mut later = landing(dir.path(), 1);
        later.since = SystemTime::now() + Duration::from_secs(5);
        let error = later.wait().await.unwrap_err().to_string();
        assert!(error.ends_with("no file came"), "{error}");
    }
}
