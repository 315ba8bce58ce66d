//! Which traces stay on disk once they are analysed. Reports always do.

use std::fs;
use std::path::{Path, PathBuf};

use super::payload::CapturePayload;
use super::record::TraceFile;
use super::request::KeepTraces;
use crate::trace::is_trace_name;

/// Removes traces that `keep_traces` does not keep; returns what was removed.
pub fn prune(payload: &CapturePayload, captured: &[TraceFile]) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    if payload.keep_traces == KeepTraces::All {
        return removed;
    }
    let own: Vec<&Path> = captured.iter().map(|file| file.path.as_path()).collect();
    let is_leader = payload
        .leader
        .as_deref()
        .is_none_or(|leader| leader == payload.framework);
    let keeps_own = payload.keep_traces == KeepTraces::Round || is_leader;
    // Earlier captures of this framework in this round are replaced.
    remove_traces(&payload.folder, &mut removed, &|path| {
        keeps_own && own.contains(&path)
    });
    for folder in earlier_rounds(payload) {
        remove_traces(&folder, &mut removed, &|_| false);
    }
    removed
}

/// Folders of rounds before this one.
fn earlier_rounds(payload: &CapturePayload) -> Vec<PathBuf> {
    let (Some(root), Some(round)) = (&payload.campaign, payload.round) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(root.join("profiles")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
            number.is_some_and(|number| number < round)
        })
        .map(|entry| entry.path())
        .collect()
}

fn remove_traces(dir: &Path, removed: &mut Vec<PathBuf>, keeps: &dyn Fn(&Path) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // A linked folder is somebody else's.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => remove_traces(&path, removed, keeps),
            Ok(kind)
                if kind.is_file()
                    && is_trace_name(&name)
                    && !keeps(&path)
                    && fs::remove_file(&path).is_ok() =>
            {
                removed.push(path);
            }
            _ => {}
        }
    }
}
