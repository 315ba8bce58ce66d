//! The job that is watched, and one look at it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bench::{self, BriefRow, LiveRun};
use crate::campaign::{self, Campaign, Found};
use crate::cli::serve::project_dir;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder, JobState, Progress};

/// A job to watch.
#[derive(Debug, Clone)]
pub struct Subject {
    job: JobFolder,
    campaign: Option<String>,
}

/// What there is to see at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot {
    pub job_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    pub state: JobState,
    pub message: String,
    pub progress: Progress,
    pub started: String,
    pub updated: String,
    /// The run under load; absent between runs.
    pub live: Option<LiveRun>,
    /// Rows so far, the newest first.
    pub rows: Vec<BriefRow>,
    /// The last lines of the log that was written to last.
    pub log: Vec<String>,
    pub log_path: PathBuf,
}

impl Subject {
    /// Finds a job by its id, or the newest one of a campaign or output folder.
    pub fn find(source: Option<&Path>) -> Result<Self, Fault> {
        let Some(source) = source else {
            return Self::of_workspace(None);
        };
        if source.is_dir() {
            let root = source
                .canonicalize()
                .unwrap_or_else(|_| source.to_path_buf());
            let campaign = Campaign::at(&root);
            let is_campaign = campaign.log().path().is_file();
            return Self::newest(&root.join("jobs"), is_campaign.then_some(campaign.id));
        }
        let name = source.display().to_string();
        match job::open(&name) {
            Ok(job) => Ok(Self {
                job,
                campaign: None,
            }),
            // Most likely a campaign's id; else the job's own error tells more.
            Err(error) => Self::of_workspace(Some(&name)).map_err(|_| error.into()),
        }
    }

    fn of_workspace(name: Option<&str>) -> Result<Self, Fault> {
        let workspace = campaign::workspace(None, project_dir().as_deref())?;
        match campaign::locate(&workspace, name)? {
            Found::Campaign(campaign) => {
                Self::newest(&campaign.root.join("jobs"), Some(campaign.id))
            }
            Found::None => Self::newest(&workspace.join("out/jobs"), None),
        }
    }

    /// The job of a folder that began last; one that runs comes first.
    fn newest(jobs: &Path, campaign: Option<String>) -> Result<Self, Fault> {
        let mut found: Vec<(bool, String, JobFolder)> = std::fs::read_dir(jobs)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let job = JobFolder {
                    id: entry.file_name().into_string().ok()?,
                    dir: entry.path(),
                };
                let status = job.status().ok()?;
                Some((!status.state.is_final(), status.started, job))
            })
            .collect();
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let (_, _, job) = found.pop().ok_or_else(|| {
            Fault::new(
                FaultCode::JobUnknown,
                format!("{} holds no job", jobs.display()),
                "start one with `sota-loop bench plan.yaml`, or name a job, a campaign or an output folder",
            )
        })?;
        Ok(Self { job, campaign })
    }

    /// Reads what there is to see.
    pub fn look(&self) -> Result<Snapshot, Fault> {
        let status = self.job.status()?;
        let live = serde_json::from_value(status.live).ok();
        // A job of another kind has no rows.
        let rows = bench::record(&self.job, None, true).map(|record| record.rows);
        let log_path = newest_log(&self.job);
        Ok(Snapshot {
            job_id: self.job.id.clone(),
            campaign: self.campaign.clone(),
            state: status.state,
            message: status.message,
            progress: status.progress,
            started: status.started,
            updated: status.updated,
            live,
            rows: rows.unwrap_or_default(),
            log: tail(&log_path),
            log_path,
        })
    }
}

/// The job's own log, or that of the engine that wrote last.
fn newest_log(job: &JobFolder) -> PathBuf {
    let mut newest = (None, job.log());
    let mut open = vec![(job.dir.clone(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let path = entry.path();
            if meta.is_dir() && depth < DEEPEST {
                open.push((path, depth + 1));
            } else if meta.is_file()
                && meta.len() > 0
                && (path.extension().is_some_and(|end| end == "log") || path == job.log())
                && meta.modified().ok() > newest.0
            {
                newest = (meta.modified().ok(), path);
            }
        }
    }
    newest.1
}

const DEEPEST: usize = 4;
const TAIL_BYTES: u64 = 16 << 10;
const TAIL_LINES: usize = 40;

/// The last whole lines of a file, without control characters.
fn tail(path: &Path) -> Vec<String> {
    let read = || {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
            .ok()?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let told = |line: &&str| !is_served_request(line);
    let lines: Vec<String> = text.lines().filter(told).map(plain).collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(TAIL_LINES))
        .cloned()
        .collect()
}

/// Whether a line only says that an HTTP request was answered. Engines write one
/// for each, between which their own lines are not seen.
fn is_served_request(line: &str) -> bool {
    (line.contains("\"GET /") || line.contains("\"POST /")) && line.trim_end().ends_with("200 OK")
}

/// A line without escape sequences, so that a log cannot draw on the screen.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => {
                for skipped in letters.by_ref() {
                    if skipped.is_ascii_alphabetic() {
                        break;
                    }
                }
            }
            '\t' => out.push_str("    "),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_cannot_draw_on_the_screen() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\tx\u{7}"), "red    x");
    }

    #[test]
    fn answered_requests_do_not_hide_what_the_engine_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = "INFO: 127.0.0.1:42238 - \"GET /metrics HTTP/1.1\" 200 OK\n\
            Decode batch, #running-req: 39\n\
            INFO: 127.0.0.1:50572 - \"POST /v1/completions HTTP/1.1\" 200 OK\n\
            INFO: 127.0.0.1:50572 - \"POST /v1/completions HTTP/1.1\" 500 Internal Server Error\n";
        std::fs::write(&path, log).unwrap();
        let lines = tail(&path);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("Decode batch") && lines[1].contains("500"));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let lines = tail(&path);
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 9999"));
    }
}
