//! What can go wrong with a job, its folder and its supervisor.

use std::io;
use std::path::PathBuf;

use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("there is no job `{id}`")]
    Unknown { id: String, nearest: Option<String> },
    #[error("the job folder {} is gone", dir.display())]
    Gone { dir: PathBuf },
    #[error("{} was changed by hand: {problem}", path.display())]
    Tampered { path: PathBuf, problem: String },
    #[error("cannot start the supervisor of job {id}: {source}")]
    Spawn { id: String, source: io::Error },
    #[error("the supervisor of job {id} ended at once; its log: {}", log.display())]
    DiedAtOnce { id: String, log: PathBuf },
    #[error("job {id} is already supervised")]
    AlreadySupervised { id: String },
    #[error("cannot lock {}: {source}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<JobError> for Fault {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::Disk(error) => error.into(),
            JobError::Unknown { nearest, .. } => Fault::new(
                FaultCode::JobUnknown,
                message,
                match nearest {
                    Some(id) => format!("did you mean `{id}`?"),
                    None => "start one by giving a plan".to_owned(),
                },
            ),
            JobError::Gone { dir } => Fault::new(
                FaultCode::JobUnknown,
                message,
                "its rows may survive in the output folder; give the plan again to run it anew",
            )
            .with_evidence(dir.display().to_string()),
            JobError::Tampered { path, .. } => Fault::new(
                FaultCode::JobTampered,
                message,
                "job folders are evidence: restore the file, or remove the whole job folder and give the plan again",
            )
            .with_evidence(path.display().to_string()),
            JobError::DiedAtOnce { log, .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "read the log, mend what it names, then repeat the call",
            )
            .retryable()
            .with_evidence(log.display().to_string()),
            JobError::Spawn { .. } | JobError::Lock { .. } | JobError::AlreadySupervised { .. } => {
                Fault::new(FaultCode::LaunchFailed, message, "repeat the call").retryable()
            }
        }
    }
}
