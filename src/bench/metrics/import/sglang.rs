//! SGLang's client with `--output-file` and `--output-details`: JSON lines,
//! one a run, appended.

use std::path::Path;

use super::vllm::{parse, read_unpacked};
use super::{ImportError, Recording};

/// Reads every run of a result file of SGLang's client, plain or gzipped.
pub fn read_sglang(path: &Path) -> Result<Vec<Recording>, ImportError> {
    read_unpacked(path)?
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| parse(path, line))
        .collect()
}
