//! Which trace files a path stands for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::TriageError;
use crate::trace::{Stage, is_trace_name, rank_of};

/// How deep below the named folder traces are looked for.
const MOST_DEPTH: usize = 4;
/// Files looked at before a folder is refused as something else.
const MOST_FILES: usize = 20_000;

/// A trace file with what its name and place say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub path: PathBuf,
    pub rank: Option<u32>,
    pub stage: Option<Stage>,
    /// Taken while CUDA graphs were captured.
    pub capture: bool,
    modified: SystemTime,
}

/// The traces chosen for an analysis.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// The traces to analyse, of one rank: one for each stage that the folder tells apart.
    pub traces: Vec<Candidate>,
    /// Capture-time traces of the same rank.
    pub captures: Vec<Candidate>,
    /// One trace of each rank, where there are several, for the first stage.
    pub ranks: Vec<(u32, PathBuf)>,
    pub notes: Vec<String>,
}

/// Picks traces from a file or folder.
///
/// Of a folder: `merged-*` is dropped where there is anything else;
/// capture-time traces are set apart; of several ranks the asked one, else
/// the lowest, is taken; of several files of one rank and stage, the newest.
pub(super) fn pick(path: &Path, rank: Option<u32>) -> Result<Picked, TriageError> {
    let unreadable = |source| TriageError::Folder {
        path: path.to_path_buf(),
        source,
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_dir() {
        return Ok(Picked {
            traces: vec![candidate(path, modified(&meta))],
            ..Picked::default()
        });
    }
    let mut found = Vec::new();
    let mut seen = 0;
    walk(path, MOST_DEPTH, &mut seen, &mut found).map_err(unreadable)?;
    if seen > MOST_FILES {
        return Err(TriageError::TooManyFiles {
            path: path.to_path_buf(),
            limit: MOST_FILES,
        });
    }
    choose(path, found, rank)
}

fn choose(
    path: &Path,
    mut found: Vec<Candidate>,
    rank: Option<u32>,
) -> Result<Picked, TriageError> {
    let merged = |candidate: &Candidate| file_name(&candidate.path).starts_with("merged-");
    if found.iter().any(|candidate| !merged(candidate)) {
        found.retain(|candidate| !merged(candidate));
    }
    let (captures, main): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|candidate| candidate.capture);
    if main.is_empty() {
        return Err(TriageError::NoTrace {
            path: path.to_path_buf(),
            captures: captures.len(),
        });
    }
    let mut ranks: Vec<Option<u32>> = main.iter().map(|candidate| candidate.rank).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let chosen = match rank {
        Some(rank) if ranks.contains(&Some(rank)) => Some(rank),
        Some(rank) => {
            return Err(TriageError::NoRank {
                path: path.to_path_buf(),
                rank,
                ranks: ranks.into_iter().flatten().collect(),
            });
        }
        None => ranks.iter().flatten().next().copied(),
    };
    let mut picked = Picked {
        captures: newest_of_each(
            captures
                .into_iter()
                .filter(|candidate| candidate.rank.is_none() || candidate.rank == chosen),
            |candidate| candidate.path.clone(),
        ),
        traces: newest_of_each(
            main.iter()
                .filter(|candidate| candidate.rank == chosen)
                .cloned(),
            |candidate| candidate.stage,
        ),
        ..Picked::default()
    };
    let stage = picked.traces.first().and_then(|candidate| candidate.stage);
    let by_rank = newest_of_each(
        main.iter()
            .filter(|candidate| candidate.stage == stage && candidate.rank.is_some())
            .cloned(),
        |candidate| candidate.rank,
    );
    if by_rank.len() > 1 {
        picked.ranks = by_rank
            .into_iter()
            .filter_map(|candidate| Some((candidate.rank?, candidate.path)))
            .collect();
    }
    let left_out = main.len() - picked.traces.len() - picked.ranks.len().saturating_sub(1);
    if left_out > 0 {
        picked.notes.push(format!(
            "{left_out} older or other traces in {} were not read",
            path.display()
        ));
    }
    Ok(picked)
}

fn newest_of_each<K: Ord>(
    candidates: impl Iterator<Item = Candidate>,
    key: impl Fn(&Candidate) -> K,
) -> Vec<Candidate> {
    let mut newest: std::collections::BTreeMap<K, Candidate> = std::collections::BTreeMap::new();
    for candidate in candidates {
        let slot = newest.entry(key(&candidate));
        slot.and_modify(|held| {
            if (candidate.modified, &candidate.path) > (held.modified, &held.path) {
                *held = candidate.clone();
            }
        })
        .or_insert(candidate);
    }
    newest.into_values().collect()
}

fn walk(
    folder: &Path,
    depth: usize,
    seen: &mut usize,
    found: &mut Vec<Candidate>,
) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        *seen += 1;
        if *seen > MOST_FILES {
            return Ok(());
        }
        let path = entry.path();
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, seen, found)?;
            }
        } else if is_trace_name(&file_name(&path)) {
            found.push(candidate(&path, modified(&meta)));
        }
    }
    Ok(())
}

fn candidate(path: &Path, modified: SystemTime) -> Candidate {
    let name = file_name(path);
    let parts: Vec<String> = path
        .components()
        .rev()
        .skip(1)
        .take(5)
        .map(|part| part.as_os_str().to_string_lossy().to_lowercase())
        .collect();
    Candidate {
        path: path.to_path_buf(),
        rank: rank_of(&name),
        stage: stage_of(&name.to_lowercase(), &parts),
        capture: parts.iter().any(|part| part.contains("capture_traces"))
            || name.starts_with("capture_")
            || name.contains("graph_capture"),
        modified,
    }
}

fn modified(meta: &fs::Metadata) -> SystemTime {
    meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn stage_of(name: &str, folders: &[String]) -> Option<Stage> {
    let words = [
        (Stage::Prefill, ["prefill", "extend"]),
        (Stage::Decode, ["decode", "decoding"]),
    ];
    let in_name = words.iter().find(|(_, words)| {
        words
            .iter()
            .any(|word| name.contains(&format!("-{word}")) || name.contains(&format!("_{word}")))
    });
    let in_folder = || {
        folders.iter().find_map(|folder| {
            words
                .iter()
                .find(|(_, words)| words.contains(&folder.as_str()))
        })
    };
    in_name.or_else(in_folder).map(|&(stage, _)| stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders_tell_the_stage() {
        let folders = vec!["decode".to_owned(), "run".to_owned()];
        assert_eq!(stage_of("x.json", &folders), Some(Stage::Decode));
        assert_eq!(
            stage_of("1-tp-0-extend.trace.json.gz", &folders),
            Some(Stage::Prefill)
        );
        assert_eq!(stage_of("x.json", &["prefill-old".to_owned()]), None);
    }

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        }
        dir
    }

    fn names(candidates: &[Candidate]) -> Vec<String> {
        candidates.iter().map(|c| file_name(&c.path)).collect()
    }

    #[test]
    fn a_folder_gives_the_lowest_rank_of_each_stage() {
        let dir = folder(&[
            "prefill/1-TP-1.trace.json.gz",
            "prefill/1-TP-0.trace.json.gz",
            "decode/2-TP-0.trace.json.gz",
            "decode/2-TP-1.trace.json.gz",
            "decode/merged-2.trace.json.gz",
            "decode/server_args.json",
            "decode/host_12.async_llm.3.pt.trace.json.gz",
            "capture_traces/bs_8_rank0.json.gz",
            "capture_traces/bs_8_rank1.json.gz",
        ]);
        let picked = pick(dir.path(), None).unwrap();
        assert_eq!(
            names(&picked.traces),
            ["1-TP-0.trace.json.gz", "2-TP-0.trace.json.gz"]
        );
        assert_eq!(names(&picked.captures), ["bs_8_rank0.json.gz"]);
        let ranks: Vec<u32> = picked.ranks.iter().map(|&(rank, _)| rank).collect();
        assert_eq!(ranks, [0, 1]);
        let second = pick(dir.path(), Some(1)).unwrap();
        assert_eq!(
            names(&second.traces),
            ["1-TP-1.trace.json.gz", "2-TP-1.trace.json.gz"]
        );
        let absent = pick(dir.path(), Some(5)).unwrap_err().to_string();
        assert!(
            absent.contains("rank 5") && absent.contains("0, 1"),
            "{absent}"
        );
    }

    #[test]
    fn merged_traces_are_taken_when_there_is_nothing_else() {
        let dir = folder(&["merged-1.trace.json.gz"]);
        assert_eq!(pick(dir.path(), None).unwrap().traces.len(), 1);
        let empty = folder(&["notes.txt", "server_args.json"]);
        assert!(matches!(
            pick(empty.path(), None),
            Err(TriageError::NoTrace { .. })
        ));
        let captures = folder(&["capture_traces/bs_1_rank0.json.gz"]);
        assert!(matches!(
            pick(captures.path(), None),
            Err(TriageError::NoTrace { captures: 1, .. })
        ));
    }
}
