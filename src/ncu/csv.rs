//! What `ncu --import REPORT --csv` prints, read back into a report.
//!
//! Both pages start with the same columns; lines that ncu prints before them
//! (`==PROF== ...`) are skipped.

use std::path::Path;
use std::sync::Arc;

use super::csv_details;
use super::csv_number::Decimal;
use super::csv_raw;
use super::error::NcuError;
use super::report::{Launch, Metric, Names, Process, Report};
use crate::disk;

/// The largest table that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Reads a `--page raw` or `--page details` table; the shape is told from the header.
///
/// Metric values are turned to base units, as [`super::read`] gives them. A raw
/// table holds no rule results, a details table only the metrics of section headers.
///
/// # Errors
/// [`NcuError::Csv`] with the line when the text is no such table.
pub fn read_csv(path: &Path) -> Result<Report, NcuError> {
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if size > MAX_BYTES {
        return Err(at(
            path,
            0,
            format!("the table has {size} bytes, over the limit of {MAX_BYTES}"),
        ));
    }
    let bytes = disk::read(path)?;
    parse_csv(&bytes).map_err(|(line, problem)| at(path, line, problem))
}

fn at(path: &Path, line: u64, problem: String) -> NcuError {
    NcuError::Csv {
        path: path.to_path_buf(),
        line,
        problem,
    }
}

/// [`read_csv`] on bytes; the error is the line and what is wrong there.
pub fn parse_csv(bytes: &[u8]) -> Result<Report, (u64, String)> {
    let table = Table::new(bytes)?;
    if table.column("Metric Name").is_some() && table.column("Section Name").is_some() {
        csv_details::report(&table)
    } else {
        csv_raw::report(&table)
    }
}

/// Whether the bytes look like one of the tables.
pub(super) fn looks_like_table(start: &[u8]) -> bool {
    String::from_utf8_lossy(start).lines().any(is_header)
}

fn is_header(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}');
    line.starts_with("\"ID\",") || line.starts_with("ID,")
}

/// Cells by row, with the line of each row.
pub(super) struct Table {
    pub header: Vec<String>,
    pub rows: Vec<(u64, Vec<String>)>,
    pub decimal: Decimal,
}

impl Table {
    fn new(bytes: &[u8]) -> Result<Self, (u64, String)> {
        let text = String::from_utf8_lossy(bytes);
        let mut skipped = 0;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if is_header(line) {
                break;
            }
            skipped += 1;
            start += line.len();
        }
        let body = text.get(start..).unwrap_or_default();
        if body.is_empty() {
            return Err((1, "no header row that starts with \"ID\"".to_string()));
        }
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(body.trim_start_matches('\u{feff}').as_bytes());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                (skipped + line, error.to_string())
            })?;
            let line = skipped + record.position().map_or(0, csv::Position::line);
            rows.push((line, record.iter().map(str::to_string).collect::<Vec<_>>()));
        }
        let mut rows = rows.into_iter();
        let header = rows.next().map(|(_, header)| header).unwrap_or_default();
        let rows: Vec<_> = rows.collect();
        let known = ID_COLUMNS.map(|name| header.iter().position(|cell| cell == name));
        let cells = rows.iter().flat_map(|(_, row)| {
            row.iter()
                .enumerate()
                .filter(|(at, _)| !known.contains(&Some(*at)))
                .map(|(_, cell)| cell.as_str())
        });
        let decimal = Decimal::detect(cells);
        Ok(Self {
            header,
            rows,
            decimal,
        })
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|cell| cell == name)
    }

    pub fn cell<'a>(&self, row: &'a [String], name: &str) -> &'a str {
        self.column(name)
            .and_then(|at| row.get(at))
            .map_or("", String::as_str)
    }

    /// The launch that a row is about, without its metrics.
    pub fn launch(&self, line: u64, row: &[String]) -> Result<Launch, (u64, String)> {
        let whole = |name: &str| -> Result<u32, (u64, String)> {
            let cell = self.cell(row, name);
            if cell.is_empty() {
                return Ok(0);
            }
            cell.parse().map_err(|_| {
                (
                    line,
                    format!("column {name:?} holds {cell:?}, not a whole number"),
                )
            })
        };
        let dims = |name: &str| {
            let cell = self.cell(row, name);
            dimensions(cell).ok_or_else(|| {
                (
                    line,
                    format!("column {name:?} holds {cell:?}, not \"(x, y, z)\""),
                )
            })
        };
        let name = self.cell(row, "Kernel Name").to_string();
        Ok(Launch {
            function: function_name(&name),
            name,
            grid: dims("Grid Size")?,
            block: dims("Block Size")?,
            context: whole("Context")?,
            stream: whole("Stream")?,
            compute_capability: self
                .cell(row, "CC")
                .split_once('.')
                .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
                .unwrap_or_default(),
            process: Process {
                id: whole("Process ID")?,
                host: self.cell(row, "Host Name").to_string(),
                name: self.cell(row, "Process Name").to_string(),
            },
            ..Launch::default()
        })
    }
}

/// The columns that say which launch a row is about.
pub(super) const ID_COLUMNS: [&str; 11] = [
    "ID",
    "Process ID",
    "Process Name",
    "Host Name",
    "Kernel Name",
    "Context",
    "Stream",
    "Block Size",
    "Grid Size",
    "Device",
    "CC",
];

fn dimensions(cell: &str) -> Option<[u64; 3]> {
    if cell.is_empty() {
        return Some([0; 3]);
    }
    let inner = cell.trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut parts = inner.split(',').map(|part| part.trim().parse().ok());
    let dims = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(dims)
}

/// `void ns::kernel<T>(int)` to `kernel`.
fn function_name(full: &str) -> String {
    let head = full.split(['<', '(']).next().unwrap_or_default().trim();
    let head = head.rsplit("::").next().unwrap_or(head);
    head.rsplit(' ').next().unwrap_or(head).to_string()
}

/// Gives launches their metrics once all names are known.
pub(super) fn assemble(launches: Vec<(Launch, Vec<Metric>)>, names: Names) -> Report {
    let names = Arc::new(names);
    let launches = launches
        .into_iter()
        .map(|(mut launch, mut metrics)| {
            metrics.sort_by_key(|metric| metric.name);
            metrics.dedup_by_key(|metric| metric.name);
            launch.metrics.names = names.clone();
            launch.metrics.entries = metrics;
            launch
        })
        .collect();
    Report {
        launches,
        ..Report::default()
    }
}
