use std::io;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, FaultCode};

/// Why a file could not be read as a profiler trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file does not exist or cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },

    /// The file is a folder, a device or something else without bytes of its own.
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },

    /// The file is packed in a way that this reader does not unpack.
    #[error("{} is packed as {format}, which this reader does not unpack", path.display())]
    Packed { path: PathBuf, format: &'static str },

    /// The bytes are not a Chrome-format trace.
    #[error("{} is not a profiler trace: {why} (byte {offset})", path.display())]
    NotATrace {
        path: PathBuf,
        why: String,
        /// Offset in the unpacked text.
        offset: u64,
    },

    /// The packed stream broke before a single event was read.
    #[error("{} is damaged: {source}, and no event was read before that", path.display())]
    Damaged { path: PathBuf, source: io::Error },
}

impl TraceError {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Open { path, .. }
            | Self::NotAFile { path }
            | Self::Packed { path, .. }
            | Self::NotATrace { path, .. }
            | Self::Damaged { path, .. } => path,
        }
    }
}

impl From<TraceError> for Fault {
    fn from(error: TraceError) -> Self {
        let (code, hint) = match &error {
            TraceError::Open { .. } => {
                (FaultCode::NotReadable, "check the path and its permissions")
            }
            TraceError::NotAFile { .. } => (
                FaultCode::InvalidArgument,
                "name a trace file, or a folder that holds trace files",
            ),
            TraceError::Packed { .. } => (
                FaultCode::InvalidInput,
                "unpack it first; .json, .json.gz and .json.zst are read directly",
            ),
            TraceError::NotATrace { .. } => (
                FaultCode::InvalidInput,
                "name a torch.profiler trace: a JSON object with a traceEvents array, as .json, .json.gz or .json.zst",
            ),
            TraceError::Damaged { .. } => (
                FaultCode::InvalidInput,
                "copy or capture the trace again; the file seems cut or overwritten",
            ),
        };
        Fault::new(code, error.to_string(), hint).with_evidence(error.path().display().to_string())
    }
}
