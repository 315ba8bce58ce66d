//! Why a foreign result file could not be read.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// A result file that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: larger than {limit} bytes once unpacked", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{}: {reason}", path.display())]
    BadResult { path: PathBuf, reason: String },
}

impl From<ImportError> for Fault {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        match error {
            ImportError::Disk(error) => error.into(),
            ImportError::TooLarge { path, .. } | ImportError::BadResult { path, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "give the JSON of `vllm bench serve --save-result --save-detailed` or of SGLang's `--output-details`",
            )
            .with_evidence(path.display().to_string()),
        }
    }
}
