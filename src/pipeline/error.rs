use std::path::{Path, PathBuf};

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};
use crate::trace::TraceError;

/// Why the layers of a trace could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Trace(#[from] TraceError),

    #[error(transparent)]
    Disk(#[from] DiskError),

    /// A folder was given that does not hold exactly one trace.
    #[error("{} holds {} traces; name one of them", path.display(), found.len())]
    WhichTrace { path: PathBuf, found: Vec<PathBuf> },

    /// The trace has no GPU work at all.
    #[error("{} has no kernel: it recorded {cpu_events} events, none of them on a GPU", path.display())]
    NoKernels { path: PathBuf, cpu_events: u64 },

    /// No pass has two layers that resemble each other.
    #[error("no layers were found in {}: {}", path.display(), reasons.join("; "))]
    NoLayers { path: PathBuf, reasons: Vec<String> },

    /// The pass that was asked for has no layers.
    #[error("pass {index} of {} has no layers: {reason}", path.display())]
    PassWithoutLayers {
        path: PathBuf,
        index: u32,
        reason: String,
    },

    #[error("there is no pass {index} in {}: it has {passes}, numbered from 0", path.display())]
    NoSuchPass {
        path: PathBuf,
        index: u32,
        passes: usize,
    },

    #[error("there is no layer {index} in pass {pass}: it has {layers}, numbered from 0")]
    NoSuchLayer {
        index: u32,
        pass: u32,
        layers: usize,
    },

    #[error("no pass of stage {stage} has layers in {}", path.display())]
    NoSuchStage { path: PathBuf, stage: String },

    /// The model configuration cannot be used.
    #[error("{} is not a model configuration: {why}", path.display())]
    Config { path: PathBuf, why: String },
}

impl PipelineError {
    fn hint(&self) -> String {
        match self {
            Self::Trace(_) | Self::Disk(_) => String::new(),
            Self::WhichTrace { found, .. } if found.is_empty() => {
                "give the path of a `.json`, `.json.gz` or `.json.zst` torch-profiler trace".into()
            }
            Self::WhichTrace { .. } => "pass one of the files listed as evidence".into(),
            Self::NoKernels { .. } => {
                "capture with the GPU activity on, from the process that runs the model".into()
            }
            Self::NoLayers { .. } => {
                "a trace needs at least one whole forward pass of two or more like layers; \
                 capture a few whole steps of a running model"
                    .into()
            }
            Self::PassWithoutLayers { .. } | Self::NoSuchPass { .. } | Self::NoSuchStage { .. } => {
                "leave `pass` at `auto`, or choose from `passes` in the result".into()
            }
            Self::NoSuchLayer { .. } => "choose from `layers` in the result".into(),
            Self::Config { .. } => {
                "give the `config.json` of the model's folder, or leave `config` out".into()
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::WhichTrace { path, .. }
            | Self::NoKernels { path, .. }
            | Self::NoLayers { path, .. }
            | Self::PassWithoutLayers { path, .. }
            | Self::NoSuchPass { path, .. }
            | Self::NoSuchStage { path, .. }
            | Self::Config { path, .. } => Some(path),
            Self::Trace(_) | Self::Disk(_) | Self::NoSuchLayer { .. } => None,
        }
    }
}

impl From<PipelineError> for Fault {
    fn from(error: PipelineError) -> Self {
        let code = match error {
            PipelineError::Trace(error) => return error.into(),
            PipelineError::Disk(error) => return error.into(),
            PipelineError::WhichTrace { .. }
            | PipelineError::NoSuchPass { .. }
            | PipelineError::NoSuchLayer { .. }
            | PipelineError::NoSuchStage { .. } => FaultCode::InvalidArgument,
            PipelineError::NoKernels { .. } | PipelineError::Config { .. } => {
                FaultCode::InvalidInput
            }
            PipelineError::NoLayers { .. } | PipelineError::PassWithoutLayers { .. } => {
                FaultCode::LayersNotFound
            }
        };
        let mut fault = Fault::new(code, error.to_string(), error.hint());
        fault
            .evidence
            .extend(error.path().map(|path| path.display().to_string()));
        if let PipelineError::WhichTrace { found, .. } = &error {
            let shown = found.iter().take(20).map(|path| path.display().to_string());
            fault.evidence.extend(shown);
        }
        fault
    }
}
