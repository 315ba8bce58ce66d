//! Which lines of `candidates.jsonl` a job wrote, as one number and one hash:
//! a line that was added, removed or edited later shows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bounded_lines::BoundedLines;
use crate::disk::DiskError;
use crate::sha256::Running;

/// Longest piece of a line that is read; real rows have a few thousand bytes.
const LONGEST_LINE: u64 = 4 << 20;

/// The rows that a job wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsWritten {
    pub count: u32,
    /// SHA-256 over its lines, line ends included, in the order in which they stand.
    pub sha256: String,
}

/// A job's lines, counted while they are written.
#[derive(Debug, Clone, Default)]
pub struct RowCount {
    count: u32,
    hash: Running,
}

impl RowCount {
    /// The lines of a job that a file has. A line belongs to the job that it
    /// names; one that cannot be read, to every job whose id stands in it.
    pub fn of(path: &Path, job_id: &str) -> Result<Self, DiskError> {
        let mut counted = Self::default();
        if !path.is_file() {
            return Ok(counted);
        }
        let wrap = |source| DiskError::Read {
            path: path.to_path_buf(),
            source,
        };
        let reader = BufReader::new(File::open(path).map_err(wrap)?);
        let mut lines = BoundedLines::new(reader, LONGEST_LINE);
        while let Some(line) = lines.next_line().map_err(wrap)? {
            let is_own = match serde_json::from_slice::<Owner>(line) {
                Ok(owner) => owner.job_id.as_deref() == Some(job_id),
                Err(_) => memchr::memmem::find(line, job_id.as_bytes()).is_some(),
            };
            if is_own {
                counted.add(line);
            }
        }
        Ok(counted)
    }

    /// Counts a line that was appended, its line end included.
    pub fn add(&mut self, line: &[u8]) {
        self.count += 1;
        self.hash.update(line);
    }

    pub fn written(&self) -> RowsWritten {
        RowsWritten {
            count: self.count,
            sha256: self.hash.hex(),
        }
    }
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    job_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_an_edited_and_a_disguised_row_show_and_other_jobs_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("candidates.jsonl");
        let own = "{\"job_id\":\"bench-1\",\"x\":1}\n";
        let other = "{\"job_id\":\"bench-2\",\"note\":\"like bench-1\"}\n";
        let look = |text: &str| {
            std::fs::write(&path, text).unwrap();
            RowCount::of(&path, "bench-1").unwrap().written()
        };
        let mut counted = RowCount::default();
        counted.add(own.as_bytes());
        let written = counted.written();
        assert_eq!(look(&format!("{other}{own}")), written);
        assert_eq!(look(&format!("{own}{other}")).count, 1);
        for changed in [
            format!("{own}{own}"),
            own.replace(":1", ":2"),
            format!("{own}{{\"job_id\":\"bench\\u002d1\",\"x\":2}}\n"),
            format!("{own}{{\"job_id\":\"bench-1\",\"job_id\":\"bench-1\"}}\n"),
            String::new(),
        ] {
            assert_ne!(look(&changed), written, "{changed}");
        }
    }
}
