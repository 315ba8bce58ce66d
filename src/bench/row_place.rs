//! Where a row was measured, where that is not plainly this host.

use serde::{Deserialize, Serialize};

use super::plan::{ExecutorKind, Framework};
use super::remote::Share;

/// The executor of a row, and the machine that it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPlace {
    pub kind: ExecutorKind,
    /// The host as the plan names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Slurm's name of the node, else the host's own name.
    pub node: String,
    /// Slurm's job, with the index of an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm_job: Option<String>,
    /// Indices of the GPUs that Slurm gave, on that node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<String>,
}

impl RowPlace {
    /// Where a framework's servers run; none: on the host of whoever asked.
    pub fn of(share: Option<&Share>, framework: &Framework) -> Option<Self> {
        let here = framework.executor();
        let kind = match share {
            Some(share) => share.kind,
            None if here.kind == ExecutorKind::Local => return None,
            None => here.kind,
        };
        let slurm = kind == ExecutorKind::Slurm;
        let slurm_says = |name: &str| std::env::var(name).ok().filter(|_| slurm);
        Some(Self {
            kind,
            host: share.and_then(|share| share.host.clone()),
            image: here.image,
            container: here.container,
            node: slurm_says("SLURMD_NODENAME").unwrap_or_else(host_name),
            slurm_job: slurm_says("SLURM_ARRAY_JOB_ID")
                .zip(slurm_says("SLURM_ARRAY_TASK_ID"))
                .map(|(job, index)| format!("{job}_{index}"))
                .or_else(|| slurm_says("SLURM_JOB_ID")),
            gpus: slurm_says("SLURM_STEP_GPUS")
                .or_else(|| slurm_says("SLURM_JOB_GPUS"))
                .or_else(|| slurm_says("CUDA_VISIBLE_DEVICES")),
        })
    }
}

/// The GPUs that Slurm gave to a task, as the driver counts them in it; empty
/// for every other job.
pub fn given_gpus(kind: Option<ExecutorKind>) -> Vec<u32> {
    if kind != Some(ExecutorKind::Slurm) {
        return Vec::new();
    }
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let indices: Option<Vec<u32>> = visible.split(',').map(|id| id.parse().ok()).collect();
    indices.unwrap_or_default()
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
