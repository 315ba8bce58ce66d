//! The chain of lines: each names the hash of the one before.

use std::path::Path;

use super::event::{Event, FileHash, NewEvent};
use crate::campaign::CampaignError;
use crate::{disk, sha256};

/// The whole lines of a log, checked.
pub(super) struct Chain {
    pub events: Vec<Event>,
}

/// What stands before the hash at a line's end, and after it.
const BEFORE_HASH: &[u8] = b"\"sha256\":\"";
const AFTER_HASH: &[u8] = b"\"}";
const HASH: usize = 64;

/// Reads and checks every whole line; a half-written last one is left out.
pub(super) fn read(path: &Path) -> Result<Chain, CampaignError> {
    let bytes = disk::read(path)?;
    let mut begin = 0;
    let lines: Vec<&[u8]> = memchr::memchr_iter(b'\n', &bytes)
        .filter_map(|end| {
            let line = bytes.get(begin..end);
            begin = end + 1;
            line
        })
        .collect();
    let mut events: Vec<Event> = Vec::with_capacity(lines.len());
    for (index, event) in parse_all(&lines).into_iter().enumerate() {
        let broken = |problem: String| CampaignError::BrokenChain {
            path: path.to_path_buf(),
            line: index + 1,
            problem,
        };
        let event = event.map_err(broken)?;
        let before = events.last().map_or("", |event| event.sha256.as_str());
        if event.prev_sha256 != before || event.seq != index as u64 + 1 {
            return Err(broken(
                "it does not follow the line before; a line was changed or removed".to_owned(),
            ));
        }
        events.push(event);
    }
    Ok(Chain { events })
}

/// Every line as an event; a long log by several threads, since each line
/// answers for its own content.
fn parse_all(lines: &[&[u8]]) -> Vec<Result<Event, String>> {
    const WORTH_A_THREAD: usize = 1_000;
    let of = |lines: &[&[u8]]| lines.iter().map(|line| parse(line)).collect::<Vec<_>>();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = cores.min(lines.len() / WORTH_A_THREAD).clamp(1, 8);
    let part = lines.len().div_ceil(parts).max(1);
    if parts == 1 {
        return of(lines);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = lines
            .chunks(part)
            .map(|lines| (lines, scope.spawn(move || of(lines))))
            .collect();
        threads
            .into_iter()
            // A thread that failed is made good here.
            .flat_map(|(lines, thread)| thread.join().unwrap_or_else(|_| of(lines)))
            .collect()
    })
}

/// One line as an event whose content has the hash that it claims.
pub(super) fn parse(line: &[u8]) -> Result<Event, String> {
    let event: Event =
        serde_json::from_slice(line).map_err(|error| format!("this is no event: {error}"))?;
    let head = line
        .strip_suffix(AFTER_HASH)
        .and_then(|rest| rest.len().checked_sub(HASH).and_then(|at| rest.get(..at)))
        .filter(|head| head.ends_with(BEFORE_HASH));
    if head.is_none_or(|head| sha256::hex_of([head, AFTER_HASH]) != event.sha256) {
        return Err("its content does not match its hash".to_owned());
    }
    Ok(event)
}

/// The event after `last`, marked, and its line.
pub(super) fn next(
    path: &Path,
    mark: impl FnOnce(&str) -> String,
    last: Option<&Event>,
    new: NewEvent,
    files: Vec<FileHash>,
) -> Result<(Event, String), CampaignError> {
    let wrap = |source| CampaignError::Body {
        path: path.to_path_buf(),
        source,
    };
    let mut event = Event {
        seq: last.map_or(1, |last| last.seq + 1),
        time: crate::job::now(),
        kind: new.kind,
        round: new.round,
        commit: new.commit,
        tree: new.tree,
        body: serde_json::value::to_raw_value(&redacted(new.body)).map_err(wrap)?,
        files,
        prev_sha256: last.map_or_else(String::new, |last| last.sha256.clone()),
        mac: String::new(),
        sha256: String::new(),
    };
    event.mac = event
        .content_sha256()
        .map_or_else(String::new, |content| mark(&content));
    let bare = serde_json::to_string(&event).map_err(wrap)?;
    event.sha256 = sha256::hex(bare.as_bytes());
    let mut line = serde_json::to_string(&event).map_err(wrap)?;
    line.push('\n');
    Ok((event, line))
}

/// The body with secrets in any string replaced.
fn redacted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(crate::redact::redact(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, redacted(value)))
            .collect(),
        other => other,
    }
}
