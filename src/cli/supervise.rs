//! `sota-loop supervise`: the detached owner of one job; started by a submission only.

use std::path::PathBuf;

use clap::Args;

use crate::bench::{self, BenchError};
use crate::campaign::events::{BenchmarkEnded, BenchmarkLabel, TargetSource};
use crate::campaign::{self, Campaign, NewEvent};
use crate::capture;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobHandle, JobSpec, JobState, Outcome};

/// Supervise the job in a folder to its end (internal).
#[derive(Debug, Args)]
pub struct SuperviseArgs {
    dir: PathBuf,
}

pub fn run(args: SuperviseArgs) -> Result<(), Fault> {
    super::runtime()?.block_on(job::supervise(&args.dir, work))?;
    Ok(())
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
    let payload = match bench::payload_of(spec.payload) {
        Ok(payload) => payload,
        Err(error) => return Outcome::Failed(BenchError::into(error)),
    };
    let root = payload.campaign.clone();
    let outcome = bench::run(payload, handle).await;
    if let Some(root) = root {
        let campaign = Campaign::at(&root);
        let state = match &outcome {
            Outcome::Done(_) => JobState::Done,
            Outcome::Cancelled => JobState::Cancelled,
            Outcome::Failed(_) => JobState::Failed,
        };
        let body = BenchmarkEnded {
            job_id: spec.id,
            label: BenchmarkLabel::Smoke,
            state,
            workload_sha256: String::new(),
            frameworks: Vec::new(),
            winners: Vec::new(),
            rows: 0,
            launches: 0,
            source: TargetSource::default(),
            failure: None,
        };
        if let Err(error) = campaign::note(&campaign, NewEvent::of(&body)) {
            return Outcome::Failed(error.into());
        }
    }
    outcome
}
