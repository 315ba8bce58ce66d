//! A report in any of the three shapes that people keep.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::container::{self, MAGIC, ReadOptions};
use super::csv;
use super::error::{Flaw, NcuError, Problem};
use super::report::Report;
use crate::disk::DiskError;

/// Reads a `.ncu-rep` file, or what `ncu --import FILE --csv --page raw|details`
/// printed; the shape is told from the content.
///
/// ```no_run
/// let report = sota_loop::ncu::read("matmul.ncu-rep".as_ref())?;
/// for launch in &report.launches {
///     println!("{} {:?} ns", launch.name, launch.value("gpu__time_duration.sum"));
/// }
/// # Ok::<(), sota_loop::ncu::NcuError>(())
/// ```
///
/// # Errors
/// [`NcuError::Disk`] when the file cannot be opened, [`NcuError::Report`]
/// with the byte offset when it is damaged, foreign or over a limit,
/// [`NcuError::Csv`] with the line for a broken table.
pub fn read(path: &Path) -> Result<Report, NcuError> {
    read_with(path, &ReadOptions::default())
}

/// [`read`], with a choice of what to keep.
pub fn read_with(path: &Path, options: &ReadOptions) -> Result<Report, NcuError> {
    let start = start(path)?;
    if start.starts_with(MAGIC) {
        container::read_report(path, options)
    } else if csv::looks_like_table(&start) {
        csv::read_csv(path)
    } else {
        let found = start.get(..start.len().min(8)).unwrap_or_default();
        Err(NcuError::Report {
            path: path.to_path_buf(),
            flaw: Flaw {
                offset: 0,
                problem: Problem::NotAReport {
                    found: format!("\"{}\"", found.escape_ascii()),
                },
            },
        })
    }
}

fn start(path: &Path) -> Result<Vec<u8>, NcuError> {
    let wrap = |source| {
        NcuError::Disk(DiskError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(1 << 16).read_to_end(&mut start))
        .map_err(wrap)?;
    Ok(start)
}
