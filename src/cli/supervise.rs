//! `sota-loop supervise`: the detached owner of one job; started by a submission only.

use std::path::PathBuf;

use clap::Args;

use crate::bench;
use crate::bench::remote::conduct;
use crate::campaign;
use crate::capture;
use crate::checks;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobHandle, JobSpec, JobState, Outcome};
use crate::launch;

/// Supervise the job in a folder to its end (internal).
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    dir: PathBuf,
}

pub fn run(args: SuperviseArgs) -> Result<(), Fault> {
    if let Err(error) = launch::adopt_orphans() {
        tracing::warn!(%error, "orphans of a killed guard may escape");
    }
    let state = super::runtime()?.block_on(job::supervise(&args.dir, work))?;
    if let Some(campaign) = campaign::of_job(&args.dir) {
        campaign::settle(&campaign)?;
    }
    // A scheduler that started this goes by the exit status.
    match state {
        JobState::Done => Ok(()),
        state => Err(Fault::new(
            FaultCode::TaskLost,
            format!("the job ended {state:?}").to_lowercase(),
            "status.json beside this log says why",
        )),
    }
}

/// Sends a job to the domain of its kind.
async fn work(spec: JobSpec, handle: JobHandle) -> Outcome {
    // An earlier supervisor may have died together with its guards.
    launch::end_launches_under(handle.dir());
    match spec.kind.as_str() {
        bench::KIND => match bench::payload_of(spec.payload.clone()) {
            Ok(payload) => match payload.plan.remote() {
                Some(executor) => conduct(spec, payload, executor, handle).await,
                None => bench::run(payload, handle).await,
            },
            Err(error) => Outcome::Failed(error.into()),
        },
        checks::KIND => match checks::payload_of(spec.payload.clone()) {
            Ok(payload) => match payload.plan.remote() {
                Some(executor) => checks::conduct(spec, payload, executor, handle).await,
                None => checks::run(payload, handle).await,
            },
            Err(error) => Outcome::Failed(error.into()),
        },
        capture::KIND => match capture::payload_of(spec.payload.clone()) {
            Ok(payload) => match payload.executor.clone() {
                Some(executor) => capture::conduct(spec, payload, executor, handle).await,
                None => capture::run(payload, handle).await,
            },
            Err(error) => Outcome::Failed(error.into()),
        },
        other => Outcome::Failed(Fault::new(
            FaultCode::JobTampered,
            format!("job {} is of unknown kind `{other}`", spec.id),
            "it was made by another version of sota-loop; use that version",
        )),
    }
}
