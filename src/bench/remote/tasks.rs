//! A job taken apart into what its host's supervisors run.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::protocol::{How, SlurmOptions, TaskSpec};
use super::share::{Part, Share};
use crate::bench::lineup::Lineup;
use crate::bench::plan::{DatasetKind, Executor, ExecutorKind};
use crate::bench::request::BenchPayload;
use crate::bench::session;
use crate::job::JobSpec;

/// The file of prompts in the job's folder on its host.
pub const DATASET: &str = "dataset.jsonl";

/// How the tasks of a plan with this executor are started.
pub fn how(executor: &Executor, payload: &BenchPayload) -> How {
    match executor.kind {
        ExecutorKind::Slurm => How::Slurm(SlurmOptions {
            partition: executor.partition.clone(),
            account: executor.account.clone(),
            time_limit: executor.time_limit.clone(),
            gpus: payload.plan.hardware.gpu_count,
            arguments: executor.arguments.clone(),
        }),
        _ => How::Detached,
    }
}

/// The tasks: one over ssh; under Slurm one for each candidate of the search,
/// and one for the repeats, which are paired and so belong on one node.
pub fn tasks(
    executor: &Executor,
    payload: &BenchPayload,
    spec: &JobSpec,
    host_dir: &Path,
) -> Vec<TaskSpec> {
    let share = |part, earlier_rows| Share {
        part,
        earlier_rows,
        kind: executor.kind,
        host: executor.host.clone(),
    };
    let task = |name: String, share: Share| {
        let own = own_payload(payload, share, &host_dir.join(&name), host_dir);
        TaskSpec {
            key: format!("{}-{name}", spec.key),
            created: spec.created.clone(),
            payload: json!(own),
            name,
        }
    };
    if executor.kind != ExecutorKind::Slurm {
        return vec![task("all".to_owned(), share(Part::All, Vec::new()))];
    }
    let search = session::search(&Lineup::of(&payload.plan).groups);
    let mut tasks: Vec<TaskSpec> = Vec::new();
    let mut earlier: Vec<PathBuf> = Vec::new();
    for session in search {
        let name = format!("search-{}", session.candidate);
        earlier.push(host_dir.join(&name).join("out/candidates.jsonl"));
        tasks.push(task(
            name,
            share(Part::Search(session.candidate), Vec::new()),
        ));
    }
    tasks.push(task("measure".to_owned(), share(Part::Measure, earlier)));
    tasks
}

/// The job as the host's supervisor runs it: there everything is local.
fn own_payload(
    payload: &BenchPayload,
    share: Share,
    task_dir: &Path,
    host_dir: &Path,
) -> BenchPayload {
    let mut own = payload.clone();
    own.campaign = None;
    own.output_dir = task_dir.join("out");
    own.share = Some(share);
    for framework in own.plan.frameworks.values_mut() {
        framework.executor = framework
            .executor
            .take()
            .map(|executor| executor.on_its_host())
            .filter(|executor| executor.kind != ExecutorKind::Local);
    }
    if own.plan.dataset.kind == DatasetKind::Jsonl {
        own.plan.dataset.path = Some(host_dir.join(DATASET));
    }
    own
}
