//! `sota-loop supervise`: the detached owner of one job; started by a submission only.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::bench::remote::conduct;
use crate::bench::{self, BenchError};
use crate::campaign::{self, Campaign, EventKind};
use crate::capture;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobHandle, JobSpec, JobState, Outcome};

/// Supervise the job in a folder to its end (internal).
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    dir: PathBuf,
}

pub fn run(args: SuperviseArgs) -> Result<(), Fault> {
    let state = super::runtime()?.block_on(job::supervise(&args.dir, work))?;
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
    match spec.kind.as_str() {
        bench::KIND => benchmark(spec, handle).await,
        capture::KIND => match capture::payload_of(spec.payload) {
            Ok(payload) => capture::run(payload, handle).await,
            Err(error) => Outcome::Failed(error.into()),
        },
        other => Outcome::Failed(Fault::new(
            FaultCode::JobTampered,
            format!("job {} is of unknown kind `{other}`", spec.id),
            "it was made by another version of sota-loop; use that version",
        )),
    }
}

async fn benchmark(spec: JobSpec, handle: JobHandle) -> Outcome {
    let payload = match bench::payload_of(spec.payload.clone()) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Failed(BenchError::into(error)),
    };
    let root = payload.campaign.clone();
    let outcome = match payload.plan.remote() {
        Some(executor) => conduct(spec.clone(), payload, executor, handle).await,
        None => bench::run(payload, handle).await,
    };
    if let Some(root) = root {
        let campaign = Campaign::at(&root);
        let state = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Cancelled => "cancelled",
            Outcome::Failed(_) => "failed",
        };
        let body = json!({"job_id": spec.id, "state": state});
        let files = campaign::smoke_files(&campaign);
        if let Err(error) = campaign::note(&campaign, EventKind::BenchmarkEnded, body, files) {
            return Outcome::Failed(error.into());
        }
    }
    outcome
}
