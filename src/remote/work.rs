//! What one kind of job does on its host.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Copied, How, TaskSpec};
use crate::fault::Fault;
use crate::job::JobSpec;

/// Where a job goes and how it is started there.
#[derive(Debug, Clone)]
pub struct Placement {
    /// ssh destination; none: this host has Slurm's commands.
    pub host: Option<String>,
    pub how: How,
    /// From the wish to cancel until supervisors that do not listen are killed.
    pub patience: Duration,
    /// Variables that the tasks get from this process's environment; never
    /// written down.
    pub env_from: Vec<String>,
}

impl Placement {
    /// The place as messages name it.
    pub fn name(&self) -> &str {
        self.host.as_deref().unwrap_or("cluster")
    }

    /// The values of `env_from` that are set.
    pub(super) fn secrets(&self) -> IndexMap<String, String> {
        self.env_from
            .iter()
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect()
    }
}

/// The domain's side of a job on another host.
pub trait Work: Send {
    /// What the host's supervisors run; `host_dir` is the job's folder there.
    fn tasks(&self, spec: &JobSpec, host_dir: &Path) -> Vec<TaskSpec>;

    /// Files of this host that the tasks read, by their names in that folder.
    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Fault> {
        Ok(Vec::new())
    }

    /// Steps of the whole job; none: as many as its tasks say.
    fn steps(&self) -> Option<f64> {
        None
    }

    /// New files may have been copied.
    fn copied(&mut self, _: &Copied<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Every task is over, well or not, and its files are copied.
    fn over(&mut self, _: &Copied<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Every task is done: the job's result.
    fn result(&mut self, copied: &Copied<'_>) -> Result<Value, Fault>;
}
