//! Rows of a host's tasks, as rows of the local job.

use std::collections::HashSet;
use std::path::Path;

use crate::bench::BenchError;
use crate::bench::row::Row;
use crate::bench::rows_file;
use crate::bench::rows_written::{RowCount, RowsWritten};
use crate::remote::Copied;

/// The rows that the local file has of a job, and those that it gets.
#[derive(Debug)]
pub struct Gathered {
    pub rows: Vec<Row>,
    written: RowCount,
    known: HashSet<(String, String)>,
}

/// A run is known by its key and its end.
fn identity(row: &Row) -> (String, String) {
    (row.key.clone(), row.time.clone())
}

impl Gathered {
    pub fn open(path: &Path, job_id: &str) -> Result<Self, BenchError> {
        rows_file::mend(path)?;
        let rows = rows_file::of_job(path, job_id)?;
        Ok(Self {
            known: rows.iter().map(identity).collect(),
            written: RowCount::of(path, job_id)?,
            rows,
        })
    }

    /// The job's lines in the local file.
    pub fn written(&self) -> RowsWritten {
        self.written.written()
    }

    /// Appends to `path` the rows of each task that are new, their files named
    /// as they lie here. A row that failed is kept beside the one that later
    /// went well.
    pub fn take(&mut self, copied: &Copied<'_>, path: &Path) -> Result<(), BenchError> {
        for task in copied.tasks {
            let rows = copied.task(task).join("out/candidates.jsonl");
            for row in rows_file::of_job(&rows, copied.id)? {
                if self.known.insert(identity(&row)) {
                    let row = copied.localised(row);
                    let line = rows_file::append(path, &row)?;
                    self.written.add(line.as_bytes());
                    self.rows.push(row);
                }
            }
        }
        Ok(())
    }
}
