//! `vllm bench serve --save-result --save-detailed`: one JSON object.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::python_json::strict_json;
use super::{ImportError, Raw, Recording};
use crate::disk::DiskError;

/// Most bytes that are read of a result file.
const LIMIT: u64 = 1 << 30;

/// Reads a result file of vLLM's client, plain or gzipped.
pub fn read_vllm(path: &Path) -> Result<Recording, ImportError> {
    let text = read_unpacked(path)?;
    parse(path, &text)
}

pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Recording, ImportError> {
    let bad = |reason| ImportError::BadResult {
        path: path.to_path_buf(),
        reason,
    };
    let raw: Raw =
        serde_json::from_slice(&strict_json(text)).map_err(|error| bad(error.to_string()))?;
    raw.into_recording().map_err(bad)
}

pub(super) fn read_unpacked(path: &Path) -> Result<Vec<u8>, ImportError> {
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
