//! Running `git` on a checkout: argument arrays, no network, no prompts.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::HistoryError;
use crate::git;

/// Longest text of one record of a log.
const RECORD: usize = 4 << 20;
/// Most of git's own complaint that is kept.
const COMPLAINT: u64 = 4096;

/// A checkout.
#[derive(Debug, Clone, Copy)]
pub struct Git<'a> {
    pub checkout: &'a Path,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = git::command(self.checkout);
        command
            .args(["-c", "log.showSignature=false"])
            .args(arguments);
        command
    }

    /// Runs a command that prints little, and gives back its trimmed output.
    pub fn run(&self, arguments: &[&str]) -> Result<String, HistoryError> {
        let output = self
            .command(arguments)
            .output()
            .map_err(|error| self.failed(arguments, error.to_string()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(self.failed(arguments, stderr.trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a log whose records begin with `\x01`, and hands each to `take`.
    /// On failure what was handed over before stands.
    pub fn records(
        &self,
        arguments: &[&str],
        mut take: impl FnMut(&str),
    ) -> Result<(), HistoryError> {
        let failed = |reason: String| self.failed(arguments, reason);
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let complaint = child.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let mut reader = stderr;
                // An unreadable complaint leaves the exit status to speak.
                let _ = reader.by_ref().take(COMPLAINT).read_to_end(&mut text);
                let _ = std::io::copy(&mut reader, &mut std::io::sink());
                String::from_utf8_lossy(&text).trim().to_owned()
            })
        });
        let mut read = Ok(());
        if let Some(stdout) = child.stdout.take() {
            read = split(&mut BufReader::with_capacity(1 << 16, stdout), &mut take);
        }
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        let complaint = complaint
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        read.map_err(|error| failed(error.to_string()))?;
        if status.success() {
            Ok(())
        } else {
            Err(failed(complaint))
        }
    }

    fn failed(&self, arguments: &[&str], stderr: String) -> HistoryError {
        HistoryError::Git {
            checkout: self.checkout.to_path_buf(),
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            stderr,
        }
    }
}

/// Cuts a stream at `\x01`; a record's tail beyond [`RECORD`] is dropped.
fn split(reader: &mut impl BufRead, take: &mut impl FnMut(&str)) -> std::io::Result<()> {
    let mut record = Vec::new();
    loop {
        let (used, ended, over) = {
            let buffer = reader.fill_buf()?;
            let end = memchr::memchr(1, buffer);
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = RECORD.saturating_sub(record.len()).min(piece.len());
            record.extend_from_slice(&piece[..room]);
            (
                piece.len() + usize::from(end.is_some()),
                end.is_some(),
                buffer.is_empty(),
            )
        };
        reader.consume(used);
        if (ended || over) && !record.is_empty() {
            take(&String::from_utf8_lossy(&record));
            record.clear();
        }
        if over {
            return Ok(());
        }
    }
}
