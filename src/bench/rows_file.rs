//! `candidates.jsonl`: every row as it was measured, append only.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::row::Row;
use crate::bounded_lines::BoundedLines;
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

/// Appends one row and syncs it; returns its line, the line end included.
pub fn append(path: &Path, row: &Row) -> Result<String, DiskError> {
    // A struct of plain fields always serialises.
    let mut line = serde_json::to_string(row).unwrap_or_default();
    disk::append_line(path, &line)?;
    line.push('\n');
    Ok(line)
}

/// Longest line that is read; real rows have a few thousand bytes.
const LONGEST_LINE: u64 = 4 << 20;

/// The rows of one job, in the order in which they were written. Rows of other
/// jobs and other programs are passed over.
pub fn of_job(path: &Path, job_id: &str) -> Result<Vec<Row>, RowsError> {
    read(path, Some(job_id))
}

/// The rows of every job, in the order in which they were written. Lines of
/// other programs are passed over.
pub fn of_all(path: &Path) -> Result<Vec<Row>, RowsError> {
    read(path, None)
}

fn read(path: &Path, job_id: Option<&str>) -> Result<Vec<Row>, RowsError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let read_error = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let damaged = |line: usize, reason: &str| RowsError::Damaged {
        path: path.to_path_buf(),
        line,
        reason: reason.to_owned(),
    };
    if !path.is_file() {
        return Err(damaged(1, "it is no regular file"));
    }
    let reader = BufReader::new(File::open(path).map_err(read_error)?);
    let mut lines = BoundedLines::new(reader, LONGEST_LINE);
    let mut rows = Vec::new();
    for number in 1.. {
        let Some(line) = lines.next_line().map_err(read_error)? else {
            break;
        };
        let whole = line.ends_with(b"\n");
        if line.len() as u64 == LONGEST_LINE && !whole {
            return Err(damaged(number, "the line is over 4 MiB long"));
        }
        let other = |id: &str| memchr::memmem::find(line, id.as_bytes()).is_none();
        if job_id.is_some_and(other) {
            continue;
        }
        match serde_json::from_slice::<Row>(line) {
            Ok(row) if job_id.is_none_or(|id| row.job_id == id) => rows.push(row),
            Ok(_) => {}
            Err(_) if job_id.is_none() => {}
            // A crash in the middle of a write leaves half a last line.
            Err(_) if !whole => {}
            Err(error) => return Err(damaged(number, &error.to_string())),
        }
    }
    Ok(rows)
}

/// Ends a half-written last line, so that the next row starts its own.
pub fn mend(path: &Path) -> Result<(), DiskError> {
    if !path.is_file() {
        return Ok(());
    }
    let bytes = disk::read(path)?;
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(());
    }
    let keep = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
    disk::write_atomic(path, &bytes[..keep])
}
