//! What a conductor leaves for the next one: `host.json` in the local job folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::protocol::Seen;
use crate::disk::{self, DiskError};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Memo {
    /// The job's folder on its host.
    pub dir: PathBuf,
    /// The tasks were started; none of their ends has been reported yet.
    pub running: bool,
    /// The host said that it started them.
    pub started: bool,
    /// What was copied of each file.
    pub have: BTreeMap<String, Seen>,
}

impl Memo {
    /// The memo of a local job folder; empty where there is none that can be read.
    pub fn load(job_dir: &Path) -> Self {
        disk::read(&path(job_dir))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    pub fn save(&self, job_dir: &Path) -> Result<(), DiskError> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        disk::write_atomic(&path(job_dir), &json)
    }
}

fn path(job_dir: &Path) -> PathBuf {
    job_dir.join("host.json")
}
