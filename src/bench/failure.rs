//! Why a candidate has no numbers.

use std::path::{Path, PathBuf};

use super::row::RowStatus;
use crate::engine::{Diagnosis, diagnose};
use crate::launch::Ended;

/// A run or launch that failed, as its row will say.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFailure {
    pub status: RowStatus,
    pub reason: String,
    /// The job was cancelled; no row is written.
    pub cancelled: bool,
}

/// When a server failed, as rows say it.
pub const BEFORE_READY: &str = "before it was ready";
pub const UNDER_LOAD: &str = "under load";

/// No more than this of a log's end is searched for a cause.
const LOG_END: u64 = 4 << 20;

impl RunFailure {
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::of(RowStatus::Failed, reason)
    }

    pub fn of(status: RowStatus, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            cancelled: false,
        }
    }

    pub fn cancelled() -> Self {
        Self {
            status: RowStatus::Skipped,
            reason: "cancelled".to_owned(),
            cancelled: true,
        }
    }

    /// A server that ended by itself `when`; its log says why.
    pub fn died(ended: &Ended, when: &str, log: &Path) -> Self {
        let text = log_end(log);
        match diagnose(&text) {
            Some(found) => Self::diagnosed(
                &found,
                when,
                &format!("the server ended with {ended} {when}"),
            ),
            None => Self::failed(format!(
                "the server ended with {ended} {when}; its log says: {}",
                telling_line(&text).unwrap_or("(nothing)")
            )),
        }
    }

    /// A server that is not ready in time; its log may say why.
    pub fn never_ready(seconds: u64, log: &Path) -> Self {
        let text = log_end(log);
        let lead = format!("the server was not ready within {seconds} s");
        match diagnose(&text) {
            Some(found) => Self::diagnosed(&found, BEFORE_READY, &lead),
            None => Self::of(
                RowStatus::Timeout,
                format!(
                    "{lead}; its log says: {}",
                    telling_line(&text).unwrap_or("(nothing)")
                ),
            ),
        }
    }

    /// Out of memory according to the log of a server that goes on.
    pub fn out_of_memory(log: &Path) -> Option<Self> {
        let found = diagnose(&log_end(log)).filter(|found| found.class == "oom")?;
        Some(Self::diagnosed(
            &found,
            UNDER_LOAD,
            "the server ran out of memory under load",
        ))
    }

    fn diagnosed(found: &Diagnosis, when: &str, lead: &str) -> Self {
        let (status, class) = match (found.class.as_str(), when) {
            ("oom", UNDER_LOAD) => (RowStatus::Oom, "oom_at_run"),
            ("oom", _) => (RowStatus::Oom, "oom_at_load"),
            (class, _) => (RowStatus::Failed, class),
        };
        Self::of(
            status,
            format!("{class}: {lead}: {} ({})", found.line, found.hint),
        )
    }
}

fn log_end(log: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(PathBuf::from(log))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))?;
        let mut end = Vec::new();
        file.take(LOG_END).read_to_end(&mut end)?;
        Ok(end)
    };
    // Without a log there is nothing to diagnose, which the caller then says.
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The last line that speaks of an error among the last fifty, else the last.
pub(super) fn telling_line(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back()?;
    let speaks = |line: &&str| {
        let line = line.to_lowercase();
        ["error", "exception", "fatal"]
            .iter()
            .any(|word| line.contains(word))
    };
    if speaks(&last) {
        return Some(last);
    }
    Some(lines.rev().take(50).find(speaks).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32) -> Ended {
        Ended {
            code: Some(code),
            signal: None,
            stopped: false,
            killed: false,
            log_failure: None,
        }
    }

    fn log(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.log");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_log_that_names_the_cause_decides_the_status() {
        let (_dir, path) = log("start\ntorch.OutOfMemoryError: CUDA out of memory. Tried\nbye\n");
        let failure = RunFailure::died(&ended(1), BEFORE_READY, &path);
        assert_eq!(failure.status, RowStatus::Oom);
        assert!(
            failure
                .reason
                .starts_with("oom_at_load: the server ended with exit status 1 before")
        );
        assert!(failure.reason.contains("Tried"));
    }

    #[test]
    fn a_log_without_an_error_gives_its_last_line() {
        let (_dir, path) = log("one\ntwo\n\n");
        let failure = RunFailure::never_ready(3, &path);
        assert_eq!(failure.status, RowStatus::Timeout);
        assert_eq!(
            failure.reason,
            "the server was not ready within 3 s; its log says: two"
        );
    }

    #[test]
    fn a_line_that_speaks_of_an_error_is_worth_more_than_the_last() {
        let text = "start\nerror: the argument '--x' is given twice\n\nFor more information, try '--help'.\n";
        let (_dir, path) = log(text);
        let failure = RunFailure::died(&ended(2), "before it was ready", &path);
        assert!(
            failure
                .reason
                .ends_with("error: the argument '--x' is given twice")
        );
    }
}
