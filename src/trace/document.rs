//! The outer shape of a trace file: a JSON object around `traceEvents`, or
//! the bare array that the Chrome format also allows.

use std::path::Path;

use memchr::memchr_iter;

use super::build::Builder;
use super::error::TraceError;
use super::event::scan_event;
use super::scan::{Cursor, Stop};
use super::warning::TraceWarning;
use super::window::Window;

/// How far behind the last `{` the first key of an event may begin.
const KEY_REACH: usize = 64;

/// Why a walk through the document ended.
enum End {
    /// The text ended, or its source broke.
    OutOfText,
    /// The outer shape is wrong.
    NotATrace { why: String, at: usize },
}

/// Reads a whole document into the builder's tables.
pub(super) fn read_document(
    path: &Path,
    mut window: Window,
    builder: &mut Builder<'_>,
) -> Result<(), TraceError> {
    let mut damage = Damage::default();
    let ended = walk(&mut window, builder, &mut damage);
    if damage.count > 0 {
        builder.trace.warnings.push(TraceWarning::Damaged {
            count: damage.count,
            first_offset: damage.first_offset,
        });
    }
    let offset = window.offset(window.at());
    let not_a_trace = |why: String, offset| TraceError::NotATrace {
        path: path.to_path_buf(),
        why,
        offset,
    };
    match ended {
        Err(End::NotATrace { why, at }) => Err(not_a_trace(why, window.offset(at))),
        _ if builder.seen() == 0 && damage.count > 0 => Err(not_a_trace(
            "no element of its list is an event".into(),
            damage.first_offset,
        )),
        Ok(()) => Ok(()),
        Err(End::OutOfText) => {
            let broken = window.broken();
            if builder.seen() > 0 {
                builder.trace.warnings.push(TraceWarning::Truncated {
                    offset,
                    reason: broken.map_or_else(
                        || "the list of events is not closed".into(),
                        |error| error.to_string(),
                    ),
                });
                return Ok(());
            }
            Err(match broken {
                Some(source) => TraceError::Damaged {
                    path: path.to_path_buf(),
                    source,
                },
                None if offset == 0 => not_a_trace("it is empty or not JSON".into(), 0),
                None => not_a_trace("it ends before any event".into(), offset),
            })
        }
    }
}

#[derive(Default)]
struct Damage {
    count: u64,
    first_offset: u64,
}

fn walk(window: &mut Window, builder: &mut Builder<'_>, damage: &mut Damage) -> Result<(), End> {
    match step(window, |cursor| {
        let byte = cursor.peek()?;
        cursor.at += 1;
        Ok(byte)
    })? {
        b'[' => return read_events(window, builder, damage),
        b'{' => {}
        _ => {
            return Err(End::NotATrace {
                why: "it is not JSON text, or no object".into(),
                at: 0,
            });
        }
    }
    let mut first = true;
    let mut found = false;
    while step(window, |cursor| cursor.member(first, b'}'))? {
        first = false;
        let events = step(window, |cursor| {
            let start = cursor.at;
            let events = cursor.key()? == b"traceEvents" && cursor.peek()? == b'[';
            if !events {
                cursor.at = start;
            } else {
                cursor.at += 1;
            }
            Ok(events)
        })?;
        if events {
            found = true;
            read_events(window, builder, damage)?;
        } else {
            read_member(window, builder)?;
        }
    }
    if !found {
        return Err(End::NotATrace {
            why: "it has no traceEvents array".into(),
            at: window.at(),
        });
    }
    Ok(())
}

/// Runs one step of the walk, getting more text as often as it asks.
fn step<T>(
    window: &mut Window,
    action: impl Fn(&mut Cursor<'_>) -> Result<T, Stop>,
) -> Result<T, End> {
    loop {
        let mut cursor = Cursor::new(window.text(), window.at());
        match action(&mut cursor) {
            Ok(value) => {
                let at = cursor.at;
                window.advance_to(at);
                return Ok(value);
            }
            Err(Stop::Malformed { at, expected }) => {
                return Err(End::NotATrace {
                    why: format!("expected {expected}"),
                    at,
                });
            }
            Err(Stop::Incomplete) if window.grow() => {}
            Err(Stop::Incomplete) => return Err(End::OutOfText),
        }
    }
}

/// Reads a top-level member that is not the list of events.
fn read_member(window: &mut Window, builder: &mut Builder<'_>) -> Result<(), End> {
    let (key, value) = step(window, |cursor| {
        let key = cursor.key()?;
        cursor.peek()?;
        let start = cursor.at;
        cursor.skip_value()?;
        Ok((key.to_vec(), start..cursor.at))
    })?;
    // The step moved the window's start, not its text.
    if let Some(value) = window.text().get(value) {
        builder.trace.meta.take(&key, value);
    }
    Ok(())
}

/// Reads events up to the end of their list.
fn read_events(
    window: &mut Window,
    builder: &mut Builder<'_>,
    damage: &mut Damage,
) -> Result<(), End> {
    let mut first = true;
    loop {
        let stop = read_run(window, builder, &mut first);
        match stop {
            None => return Ok(()),
            Some(Stop::Incomplete) => {
                if !window.grow() {
                    return Err(End::OutOfText);
                }
            }
            Some(Stop::Malformed { at, .. }) => {
                if damage.count == 0 {
                    damage.first_offset = window.offset(at);
                }
                damage.count += 1;
                first = true;
                resume(window, at)?;
            }
        }
    }
}

/// Reads as many whole events as the text holds; `None` at the end of the list.
fn read_run(window: &mut Window, builder: &mut Builder<'_>, first: &mut bool) -> Option<Stop> {
    let mut cursor = Cursor::new(window.text(), window.at());
    let (read, stop) = loop {
        let before = cursor.at;
        let event = match cursor.member(*first, b']') {
            Ok(true) => scan_event(&mut cursor),
            Ok(false) => break (cursor.at, None),
            Err(stop) => Err(stop),
        };
        match event {
            Ok(event) => {
                *first = false;
                builder.add(&event);
            }
            Err(stop) => break (before, Some(stop)),
        }
    };
    window.advance_to(read);
    stop
}

/// Moves past damaged text to what looks like the start of another event.
fn resume(window: &mut Window, damaged_at: usize) -> Result<(), End> {
    let mut from = damaged_at;
    loop {
        if let Some(at) = next_event(window.text(), from) {
            window.advance_to(at);
            return Ok(());
        }
        let keep = window.text().len().saturating_sub(KEY_REACH).max(from);
        window.advance_to(keep);
        if !window.grow() {
            return Err(End::OutOfText);
        }
        from = window.at();
    }
}

fn next_event(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    memchr_iter(b'{', rest)
        .map(|found| from + found)
        .find(|&at| {
            let mut cursor = Cursor::new(text, at + 1);
            matches!(cursor.key(), Ok(b"ph" | b"cat" | b"name"))
        })
}
