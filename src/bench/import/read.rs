//! Reading result files, plain or gzipped.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::python_json::strict_json;
use super::raw::Raw;
use super::{ImportError, Recording};
use crate::disk::DiskError;

/// Most bytes that are read of a result file.
const LIMIT: u64 = 1 << 30;

/// Reads every run of a result file of either client: one JSON object, or
/// JSON lines with one a run.
pub fn read_result(path: &Path) -> Result<Vec<Recording>, ImportError> {
    let text = read_unpacked(path)?;
    let text = strict_json(&text);
    let runs: Vec<Recording> = serde_json::Deserializer::from_slice(&text)
        .into_iter::<Raw>()
        .map(|raw| recording(path, raw))
        .collect::<Result<_, _>>()?;
    if runs.is_empty() {
        return Err(bad(path, "the file holds no run".to_owned()));
    }
    Ok(runs)
}

/// Reads a result file of vLLM's client; of several runs the last.
pub fn read_vllm(path: &Path) -> Result<Recording, ImportError> {
    let mut runs = read_result(path)?;
    runs.pop()
        .ok_or_else(|| bad(path, "the file holds no run".to_owned()))
}

/// Reads every run of a result file of SGLang's client, which appends to it.
pub fn read_sglang(path: &Path) -> Result<Vec<Recording>, ImportError> {
    read_result(path)
}

fn recording(path: &Path, raw: serde_json::Result<Raw>) -> Result<Recording, ImportError> {
    raw.map_err(|error| bad(path, error.to_string()))?
        .into_recording()
        .map_err(|reason| bad(path, reason))
}

fn bad(path: &Path, reason: String) -> ImportError {
    ImportError::BadResult {
        path: path.to_path_buf(),
        reason,
    }
}

fn read_unpacked(path: &Path) -> Result<Vec<u8>, ImportError> {
    let failed = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 2];
    let is_gzip = file.read(&mut magic).map_err(failed)? == 2 && magic == [0x1f, 0x8b];
    file.rewind().map_err(failed)?;
    let source: Box<dyn Read> = if is_gzip {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut text = Vec::new();
    source
        .take(LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(ImportError::TooLarge {
            path: path.to_path_buf(),
            limit: LIMIT,
        });
    }
    Ok(text)
}
