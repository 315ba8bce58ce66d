//! What can be wrong between a plan and an engine.

use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("there is no engine `{name}`")]
    Unknown {
        name: String,
        nearest: Option<String>,
    },
    #[error("framework {framework}: engine `{engine}` has no entry point of its own")]
    NoEntry { framework: String, engine: String },
    #[error("framework {framework}: the command never says {{port}}")]
    NoPort { framework: String },
    #[error("framework {framework}: `{word}` in the command is not known")]
    Placeholder { framework: String, word: String },
    #[error("framework {framework}: {ranks} ranks ({flags}) on {gpus} GPUs")]
    TooManyRanks {
        framework: String,
        ranks: u64,
        gpus: u32,
        flags: String,
    },
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let hint = match &error {
            EngineError::Unknown {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            EngineError::Unknown { nearest: None, .. } => format!(
                "set `engine` to the dialect of the server: {}",
                super::names().collect::<Vec<_>>().join(", ")
            ),
            EngineError::NoEntry { .. } => {
                "give `command`, for example [my-server, --port, \"{port}\"]".to_owned()
            }
            EngineError::NoPort { .. } => {
                "add the server's port flag with the value \"{port}\"".to_owned()
            }
            EngineError::Placeholder { .. } => "use {host}, {port} or {model}".to_owned(),
            EngineError::TooManyRanks { .. } => {
                "raise hardware.gpu_count and gpu_ids, or lower the parallelism flags".to_owned()
            }
        };
        Fault::new(FaultCode::InvalidPlan, error.to_string(), hint)
    }
}
