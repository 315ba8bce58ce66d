//! What a campaign keeps of a job's rows.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bench::{RowCount, RowSource, RowStatus, RowsWritten};
use crate::bounded_lines::BoundedLines;
use crate::campaign::CampaignError;
use crate::campaign::events::BenchmarkEnded;
use crate::disk::DiskError;

/// The facts of one row; everything else in it is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct RowFacts {
    pub framework: String,
    #[serde(default)]
    pub framework_version: Option<String>,
    pub candidate_id: String,
    pub status: RowStatus,
    #[serde(default)]
    pub failure_reason: Option<String>,
    pub job_id: String,
    #[serde(default)]
    pub server_command: String,
    #[serde(default)]
    pub server_argv: Vec<String>,
    #[serde(default)]
    pub source: Option<RowSource>,
    #[serde(default)]
    pub artifacts: ArtifactFacts,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ArtifactFacts {
    pub server_help: Option<PathBuf>,
}

/// How a job's lines differ from what it wrote.
pub fn tampered(written: &RowsWritten, found: &RowsWritten) -> Option<String> {
    if found == written {
        return None;
    }
    Some(if found.count == written.count {
        format!("one of its {} rows was edited", written.count)
    } else {
        format!("it wrote {} rows, {} are there", written.count, found.count)
    })
}

/// Refuses rows of a job that are not those that it wrote.
pub fn verify(path: &Path, ended: &BenchmarkEnded) -> Result<(), CampaignError> {
    let Some(sha256) = ended.rows_sha256.clone() else {
        return Ok(());
    };
    let written = RowsWritten {
        count: ended.rows,
        sha256,
    };
    let found = RowCount::of(path, &ended.job_id)?.written();
    match tampered(&written, &found) {
        None => Ok(()),
        Some(problem) => Err(CampaignError::RowsTampered {
            path: path.to_path_buf(),
            job_id: ended.job_id.clone(),
            problem,
        }),
    }
}

/// Longest line that is read; real rows have a few thousand bytes.
const LONGEST_LINE: u64 = 4 << 20;

/// The rows of one job, oldest first. A line that is no row is passed over:
/// the benchmark itself is strict about them.
pub fn of_job(path: &Path, job_id: &str) -> Result<Vec<RowFacts>, DiskError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let wrap = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let reader = BufReader::new(std::fs::File::open(path).map_err(wrap)?);
    let mut lines = BoundedLines::new(reader, LONGEST_LINE);
    let mut rows = Vec::new();
    while let Some(line) = lines.next_line().map_err(wrap)? {
        if memchr::memmem::find(line, job_id.as_bytes()).is_none() {
            continue;
        }
        if let Ok(row) = serde_json::from_slice::<RowFacts>(line)
            && row.job_id == job_id
        {
            rows.push(row);
        }
    }
    Ok(rows)
}
