//! Rows of a host's tasks, as rows of the local job.

use std::collections::HashSet;
use std::path::Path;

use super::mirror::Mirror;
use crate::bench::BenchError;
use crate::bench::row::Row;
use crate::bench::rows_file;

/// The rows that the local file has of a job, and those that it gets.
#[derive(Debug)]
pub struct Gathered {
    pub rows: Vec<Row>,
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
            rows,
        })
    }

    /// Appends the rows of a task that are new, their files named as they lie
    /// here. A row that failed is kept beside the one that later went well.
    pub fn take(
        &mut self,
        task: &str,
        mirror: &Mirror,
        host_dir: &Path,
        path: &Path,
        job_id: &str,
    ) -> Result<(), BenchError> {
        let copied = mirror.dir.join(task).join("out/candidates.jsonl");
        for row in rows_file::of_job(&copied, job_id)? {
            if self.known.insert(identity(&row)) {
                let row = localised(row, host_dir, &mirror.dir);
                rows_file::append(path, &row)?;
                self.rows.push(row);
            }
        }
        Ok(())
    }
}

/// The row with every path below the host's job folder put below the mirror.
fn localised(row: Row, host_dir: &Path, mirror: &Path) -> Row {
    let written = |path: &Path| {
        let json = serde_json::to_string(path).unwrap_or_default();
        json.trim_matches('"').to_owned()
    };
    let (from, to) = (written(host_dir), written(mirror));
    if from.is_empty() {
        return row;
    }
    // Paths stand in artifacts, reasons, warnings and commands alike.
    serde_json::to_string(&row)
        .ok()
        .and_then(|text| serde_json::from_str(&text.replace(&from, &to)).ok())
        .unwrap_or(row)
}
