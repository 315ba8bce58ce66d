//! The files of a job's tasks as they lie on this host.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk;
use crate::fault::{Fault, FaultCode};

/// The copy of a job's folder, and where it was copied from.
#[derive(Debug, Clone, Copy)]
pub struct Copied<'a> {
    pub id: &'a str,
    /// The copy.
    pub dir: &'a Path,
    /// The folder on its host.
    pub host_dir: &'a Path,
    /// The tasks, each with a folder of its name.
    pub tasks: &'a [String],
}

impl Copied<'_> {
    /// The copied folder of a task.
    pub fn task(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The result of a task that is done.
    pub fn result<T: Serialize + DeserializeOwned>(&self, task: &str) -> Result<T, Fault> {
        let path = self.task(task).join("result.json");
        let result = serde_json::from_slice(&disk::read(&path)?).map_err(|error| {
            Fault::new(
                FaultCode::JobTampered,
                format!("the copied result cannot be read: {error}"),
                "remove the job's folder and give the call again",
            )
            .with_evidence(path.display().to_string())
        })?;
        Ok(self.localised(result))
    }

    /// The value with every path below the host's folder put below the copy.
    pub fn localised<T: Serialize + DeserializeOwned>(&self, value: T) -> T {
        let written = |path: &Path| {
            let json = serde_json::to_string(path).unwrap_or_default();
            json.trim_matches('"').to_owned()
        };
        let (from, to) = (written(self.host_dir), written(self.dir));
        if from.is_empty() {
            return value;
        }
        // Paths stand in fields, reasons, warnings and commands alike.
        serde_json::to_string(&value)
            .ok()
            .and_then(|text| serde_json::from_str(&text.replace(&from, &to)).ok())
            .unwrap_or(value)
    }
}
