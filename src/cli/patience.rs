//! A progress bar for work that reads files and turns out to take more than a second.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;

/// Quicker work shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(200);
/// Files of a folder that are counted.
const MOST_FILES: usize = 1000;

/// Does the work, and shows how much of `inputs` was read once that takes
/// longer than a second; without inputs, what was read at all.
pub fn patiently<T>(
    output: &Output,
    what: &'static str,
    inputs: &[Option<&Path>],
    work: impl FnOnce() -> T,
) -> T {
    if output.is_json() || !std::io::stderr().is_terminal() {
        return work();
    }
    let bytes = inputs.iter().flatten().map(|path| size_of(path)).sum();
    let before = bytes_read();
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || show(&waiting, what, bytes, before));
        let result = work();
        drop(done);
        result
    })
}

fn show(waiting: &Receiver<()>, what: &'static str, bytes: u64, before: u64) {
    let is_over = |wait| waiting.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
    if is_over(PATIENCE) {
        return;
    }
    let bar = match bytes {
        0 => ProgressBar::no_length(),
        _ => ProgressBar::new(bytes),
    };
    let bar = bar.with_elapsed(PATIENCE);
    let template = match bytes {
        0 => "{spinner} {msg} {bytes} {bytes_per_sec} {elapsed}",
        _ => "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {elapsed} (about {eta} left)",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    while !is_over(TICK) {
        let read = bytes_read().saturating_sub(before);
        bar.set_position(if bytes == 0 { read } else { read.min(bytes) });
    }
    bar.finish_and_clear();
}

/// Bytes that this process has read since it began.
fn bytes_read() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("rchar: ")?.trim().parse().ok())
        .unwrap_or(0)
}

fn size_of(path: &Path) -> u64 {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .take(MOST_FILES)
            .map(|entry| size(&entry.path()))
            .sum(),
        Err(_) => size(path),
    }
}
