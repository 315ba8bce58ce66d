//! What can be wrong between a plan and an engine.

use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("there is no engine `{name}`")]
    Unknown {
        name: String,
        nearest: Option<String>,
    },
    #[error("the catalogue of an engine: {0}")]
    Catalogue(String),
    #[error("framework {framework}: engine `{engine}` has no entry point of its own")]
    NoEntry { framework: String, engine: String },
    #[error("framework {framework}: none of its programs is on the path ({tried}), nor python3")]
    NotInstalled { framework: String, tried: String },
    #[error(
        "framework {framework}: {interpreter} has no package `{module}`{}",
        also(tried)
    )]
    NoModule {
        framework: String,
        interpreter: String,
        module: String,
        tried: String,
    },
    #[error("framework {framework}: `{flag}` may only be `{value}`")]
    FixedFlag {
        framework: String,
        flag: String,
        value: String,
    },
    #[error("{}", problems.join("; "))]
    Flags {
        /// Framework, candidate and what is wrong.
        problems: Vec<String>,
        /// Where the helps are that say so.
        help: String,
    },
    #[error("framework {framework}: `{flag}` is {limit}, but a scenario needs {needed} tokens")]
    ContextTooShort {
        framework: String,
        flag: String,
        limit: u64,
        needed: u64,
    },
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

fn also(tried: &str) -> String {
    if tried.is_empty() {
        return String::new();
    }
    format!(", and no program {tried} is on the path")
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let code = match &error {
            EngineError::NotInstalled { .. } | EngineError::NoModule { .. } => {
                FaultCode::CommandNotFound
            }
            _ => FaultCode::InvalidPlan,
        };
        let hint = match &error {
            EngineError::Unknown {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            EngineError::Unknown { nearest: None, .. } => format!(
                "set `engine` to the dialect of the server: {}",
                super::names().collect::<Vec<_>>().join(", ")
            ),
            EngineError::Catalogue(_) => {
                "mend the file, or unset SOTA_REFERENCES to use the built-in ones".to_owned()
            }
            EngineError::NoEntry { .. } => {
                "give `command`, for example [my-server, --port, \"{port}\"]".to_owned()
            }
            EngineError::NotInstalled { .. } | EngineError::NoModule { .. } => {
                "name the interpreter that has the framework in `python`, or give `command`; \
                 PYTHONPATH and the like go into `env`"
                    .to_owned()
            }
            EngineError::FixedFlag { .. } => {
                "leave the flag out: another value is another program, not a candidate".to_owned()
            }
            EngineError::Flags { help, .. } => format!(
                "the servers' own helps are in {help}; a flag that it hides needs `check_flags: false`"
            ),
            EngineError::ContextTooShort { .. } => {
                "raise it to input_len + output_len at least".to_owned()
            }
            EngineError::NoPort { .. } => {
                "add the server's port flag with the value \"{port}\"".to_owned()
            }
            EngineError::Placeholder { .. } => "use {host}, {port} or {model}".to_owned(),
            EngineError::TooManyRanks { .. } => {
                "raise hardware.gpu_count and gpu_ids, or lower the parallelism flags".to_owned()
            }
        };
        Fault::new(code, error.to_string(), hint)
    }
}
