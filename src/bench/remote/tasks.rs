//! A job taken apart into what its host's supervisors run.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::share::{Part, Share};
use crate::bench::lineup::Lineup;
use crate::bench::plan::{DatasetKind, Executor, ExecutorKind};
use crate::bench::request::{BenchPayload, KIND};
use crate::bench::session;
use crate::job::JobSpec;
use crate::remote::TaskSpec;

/// The file of prompts in the job's folder on its host.
pub const DATASET: &str = "dataset.jsonl";

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
            kind: KIND.to_owned(),
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
    own.plan = own.plan.on_its_host();
    if own.plan.dataset.kind == DatasetKind::Jsonl {
        own.plan.dataset.path = Some(host_dir.join(DATASET));
    }
    own
}
