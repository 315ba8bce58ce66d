//! A capture on another host: recorded there, analysed here.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::conclude::conclude;
use super::payload::{CapturePayload, KIND, ServerSource};
use super::record::CaptureResult;
use super::request::KeepTraces;
use crate::bench::given_gpus;
use crate::bench::plan::Executor;
use crate::disk::{self, DiskError};
use crate::fault::Fault;
use crate::job::{JobHandle, JobSpec, Outcome};
use crate::remote::{self, Copied, Placement, TaskSpec, Work};

/// The only task.
const TASK: &str = "all";
/// Folder of the traces in the task's.
const PROFILES: &str = "profiles";

/// Follows a capture to its end on its host.
pub async fn conduct(
    spec: JobSpec,
    payload: CapturePayload,
    executor: Executor,
    job: JobHandle,
) -> Outcome {
    let placement = payload.placement(&executor);
    let work = Capture { payload, executor };
    remote::conduct(spec, placement, Box::new(work), job).await
}

struct Capture {
    payload: CapturePayload,
    executor: Executor,
}

impl CapturePayload {
    fn placement(&self, executor: &Executor) -> Placement {
        match &self.source {
            ServerSource::Launch { plan, .. } => plan.placement(executor),
            ServerSource::Url { .. } => executor.placement(self.world()),
        }
    }

    /// The capture as its host's supervisor makes it: there everything is local.
    fn on_its_host(&self, executor: &Executor, task_dir: &Path) -> Self {
        let mut own = self.clone();
        own.executor = None;
        own.guest_of = Some(executor.kind);
        own.campaign = None;
        own.round = None;
        own.leader = None;
        own.keep_traces = KeepTraces::All;
        own.folder = task_dir.join(PROFILES);
        if let ServerSource::Launch { plan, .. } = &mut own.source {
            **plan = plan.on_its_host();
        }
        own
    }

    /// Takes the GPUs that Slurm gave, where this is a task of Slurm's.
    pub(super) fn use_given_gpus(&mut self) {
        let given = given_gpus(self.guest_of);
        if given.is_empty() {
            return;
        }
        if let ServerSource::Launch { plan, .. } = &mut self.source {
            plan.hardware.gpu_ids.clone_from(&given);
        }
        self.gpu_ids = given;
    }
}

impl Work for Capture {
    fn tasks(&self, spec: &JobSpec, host_dir: &Path) -> Vec<TaskSpec> {
        let own = self
            .payload
            .on_its_host(&self.executor, &host_dir.join(TASK));
        vec![TaskSpec {
            name: TASK.to_owned(),
            key: format!("{}-{TASK}", spec.key),
            kind: KIND.to_owned(),
            created: spec.created.clone(),
            payload: json!(own),
        }]
    }

    fn result(&mut self, copied: &Copied<'_>) -> Result<Value, Fault> {
        let mut recorded: CaptureResult = copied.result(TASK)?;
        let from = copied.task(TASK).join(PROFILES);
        move_files(&from, &self.payload.folder)?;
        for trace in &mut recorded.traces {
            if let Ok(below) = trace.path.strip_prefix(&from) {
                trace.path = self.payload.folder.join(below);
            }
        }
        Ok(json!(conclude(&self.payload, recorded, copied.id)?))
    }
}

/// Moves every file to the same place below another folder.
fn move_files(from: &Path, to: &Path) -> Result<(), DiskError> {
    let entries = fs::read_dir(from).map_err(|source| DiskError::Read {
        path: from.to_path_buf(),
        source,
    })?;
    disk::create_dir(to)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            move_files(&path, &target)?;
        } else {
            disk::move_file(&path, &target)?;
        }
    }
    Ok(())
}
