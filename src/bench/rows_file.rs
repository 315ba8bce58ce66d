//! `candidates.jsonl`: every row as it was measured, append only.

use std::path::{Path, PathBuf};

use super::row::Row;
use crate::disk::{self, DiskError};

/// A rows file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}:{line}: not a row of this job: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

/// Appends one row and syncs it.
pub fn append(path: &Path, row: &Row) -> Result<(), DiskError> {
    // A struct of plain fields always serialises.
    let line = serde_json::to_string(row).unwrap_or_default();
    disk::append_line(path, &line)
}

/// The rows of one job, in the order in which they were written. Rows of other
/// jobs and other programs are passed over.
pub fn of_job(path: &Path, job_id: &str) -> Result<Vec<Row>, RowsError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = disk::read_text(path)?;
    let ends_whole = text.is_empty() || text.ends_with('\n');
    let count = text.lines().count();
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.contains(job_id) {
            continue;
        }
        match serde_json::from_str::<Row>(line) {
            Ok(row) if row.job_id == job_id => rows.push(row),
            Ok(_) => {}
            // A crash in the middle of a write leaves half a last line.
            Err(_) if index + 1 == count && !ends_whole => {}
            Err(error) => {
                return Err(RowsError::Damaged {
                    path: path.to_path_buf(),
                    line: index + 1,
                    reason: error.to_string(),
                });
            }
        }
    }
    Ok(rows)
}

/// Ends a half-written last line, so that the next row starts its own.
pub fn mend(path: &Path) -> Result<(), DiskError> {
    let Ok(bytes) = std::fs::read(path) else {
        return Ok(());
    };
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(());
    }
    let keep = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
    disk::write_atomic(path, &bytes[..keep])
}
