//! A job's folder and what may be read from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobError, JobState, JobStatus};
use crate::disk;
use crate::sha256;

/// `spec.json`: what the job does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    pub id: String,
    /// SHA-256 over everything that decides what the job does.
    pub key: String,
    /// Which domain runs it.
    pub kind: String,
    pub created: String,
    pub payload: Value,
}

/// One job on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder {
    pub id: String,
    pub dir: PathBuf,
}

impl JobFolder {
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub fn result_path(&self) -> PathBuf {
        self.dir.join("result.json")
    }

    pub(super) fn spec_path(&self) -> PathBuf {
        self.dir.join("spec.json")
    }

    pub(super) fn status_path(&self) -> PathBuf {
        self.dir.join("status.json")
    }

    pub(super) fn cancel_path(&self) -> PathBuf {
        self.dir.join("cancel")
    }

    /// What the job was asked to do.
    pub fn spec(&self) -> Result<JobSpec, JobError> {
        self.parse(&self.spec_path())
    }

    /// How far it was when its supervisor last wrote; says nothing of whether
    /// the supervisor lives.
    pub fn recorded_status(&self) -> Result<JobStatus, JobError> {
        self.parse(&self.status_path())
    }

    /// How far it is. A supervisor that died leaves the job `lost`.
    pub fn status(&self) -> Result<JobStatus, JobError> {
        let mut status: JobStatus = self.parse(&self.status_path())?;
        if !status.state.is_final() && !self.is_supervised()? {
            // It may have ended between the two looks.
            status = self.parse(&self.status_path())?;
            if !status.state.is_final() {
                status.state = JobState::Lost;
                "its supervisor died; repeat the call that started it"
                    .clone_into(&mut status.message);
            }
        }
        Ok(status)
    }

    /// The result of a job that is done, checked against what was recorded.
    pub fn result(&self) -> Result<Option<Value>, JobError> {
        let status = self.status()?;
        let Some(recorded) = status.result_sha256 else {
            return Ok(None);
        };
        let path = self.result_path();
        let bytes = disk::read(&path)?;
        if sha256::hex(&bytes) != recorded {
            return Err(JobError::Tampered {
                path,
                problem: "its SHA-256 is not the one recorded when it was written".to_owned(),
            });
        }
        let value = serde_json::from_slice(&bytes).map_err(|error| JobError::Tampered {
            path,
            problem: error.to_string(),
        })?;
        Ok(Some(value))
    }

    /// Asks the supervisor to stop; it ends its engines first.
    pub fn cancel(&self) -> Result<(), JobError> {
        Ok(disk::write_atomic(&self.cancel_path(), b"")?)
    }

    /// Whether a supervisor holds the folder's lock.
    pub fn is_supervised(&self) -> Result<bool, JobError> {
        Ok(self.try_lock()?.is_none())
    }

    /// Takes the supervisor's lock, unless somebody has it.
    pub(super) fn try_lock(&self) -> Result<Option<File>, JobError> {
        let path = self.dir.join("lock");
        let wrap = |source| JobError::Lock {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(wrap)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(wrap(source)),
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<T, JobError> {
        if !self.dir.is_dir() {
            return Err(JobError::Gone {
                dir: self.dir.clone(),
            });
        }
        let bytes = match disk::read(path) {
            Ok(bytes) => bytes,
            Err(_) if !path.exists() => {
                return Err(JobError::Tampered {
                    path: path.to_path_buf(),
                    problem: "it is missing".to_owned(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&bytes).map_err(|error| JobError::Tampered {
            path: path.to_path_buf(),
            problem: error.to_string(),
        })
    }
}
