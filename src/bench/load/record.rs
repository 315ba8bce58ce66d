//! Raw samples on disk: one JSON object a line, zstd-compressed.

use std::io::{BufReader, Write};
use std::path::Path;

use super::{LoadError, Sample};
use crate::bounded_lines::BoundedLines;
use crate::disk::{self, DiskError};

/// Most bytes of one sample's line: about two million chunks.
const LONGEST_LINE: u64 = 64 << 20;

/// Writes samples as zstd-compressed JSON lines (`raw.jsonl.zst`), whole or not at all.
pub fn write_samples(path: &Path, samples: &[Sample]) -> Result<(), LoadError> {
    let failed = |source| {
        LoadError::Disk(DiskError::Write {
            path: path.to_path_buf(),
            source,
        })
    };
    let mut out = zstd::Encoder::new(Vec::new(), 3).map_err(failed)?;
    for sample in samples {
        serde_json::to_writer(&mut out, sample).map_err(|error| failed(error.into()))?;
        out.write_all(b"\n").map_err(failed)?;
    }
    let packed = out.finish().map_err(failed)?;
    Ok(disk::write_atomic(path, &packed)?)
}

/// Reads what [`write_samples`] wrote.
pub fn read_samples(path: &Path) -> Result<Vec<Sample>, LoadError> {
    let failed = |source| {
        LoadError::Disk(DiskError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let reader = BufReader::new(zstd::Decoder::new(file).map_err(failed)?);
    let mut lines = BoundedLines::new(reader, LONGEST_LINE);
    let mut samples = Vec::new();
    for number in 1.. {
        let bad = |reason: String| LoadError::BadSample {
            path: path.to_path_buf(),
            line: number,
            reason,
        };
        let next = lines.next_line().map_err(|error| bad(error.to_string()))?;
        let Some(line) = next else { break };
        if line.len() as u64 == LONGEST_LINE {
            return Err(bad(format!("longer than {LONGEST_LINE} bytes")));
        }
        samples.push(serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?);
    }
    Ok(samples)
}
