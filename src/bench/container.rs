//! The container of a framework's servers, from what its plan says.

use std::path::{Path, PathBuf};

use super::plan::{Executor, ExecutorKind, Framework, Plan};
use crate::job::JobHandle;
use crate::launch::{Container, ContainerKind, LaunchError, Mount, to_inside};

/// Where a framework's commands run; none: on this host itself.
pub async fn container_of(
    plan: &Plan,
    framework: &Framework,
    job: &JobHandle,
) -> Result<Option<Container>, LaunchError> {
    let executor = framework.executor();
    if executor.kind != ExecutorKind::Docker {
        return Ok(None);
    }
    if let Some(name) = &executor.container {
        return Container::running(name, job.id()).await.map(Some);
    }
    Ok(executor.image.clone().map(|image| Container {
        kind: ContainerKind::Image(image),
        job: job.id().to_owned(),
        mounts: mounts(plan, framework, &executor, job.dir()),
        gpus: plan.hardware.gpu_ids.clone(),
    }))
}

/// The plan's mounts, and what a server needs besides: its model, its checkout
/// and the job's folder, each at its own path, unless a mount has it.
fn mounts(plan: &Plan, framework: &Framework, executor: &Executor, job: &Path) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = executor
        .mounts
        .iter()
        .filter_map(|mount| Mount::parse(mount).ok())
        .collect();
    let models = [Some(plan.model.path()), plan.model.tokenizer.as_deref()];
    let models = models.into_iter().flatten().map(PathBuf::from);
    let checkout = framework
        .source
        .as_ref()
        .map(|source| source.checkout.clone());
    let written = checkout.into_iter().chain([job.to_path_buf()]);
    let needed = models
        .map(|path| (path, true))
        .chain(written.map(|path| (path, false)));
    for (path, read_only) in needed {
        if path.is_absolute() && path.exists() && to_inside(&mounts, &path).is_none() {
            mounts.push(Mount {
                read_only,
                ..Mount::same(&path)
            });
        }
    }
    mounts
}

/// Removes what an earlier supervisor of this job left in docker.
pub async fn sweep(plan: &Plan, job: &JobHandle) {
    let starts = |framework: &Framework| framework.executor().image.is_some();
    if plan.enabled().any(|(_, framework)| starts(framework))
        && let Err(error) = Container::sweep(job.id()).await
    {
        // A docker that does not answer fails the launches, with its reason.
        tracing::warn!(%error, "containers of an earlier supervisor were not looked for");
    }
}
