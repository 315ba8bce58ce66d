//! Jobs of a campaign: their ends are read from their folders and recorded.

mod benchmark;
mod capture;
mod checks;
mod rows;
mod start;

pub use benchmark::workload_sha256;
pub(super) use rows::verify as verify_rows;
pub use start::{may_benchmark, of_job, record_benchmark, record_capture, revalidation_plan};

use super::log::NewEvent;
use super::state::{Job, JobKind};
use super::{Campaign, CampaignError, State};
use crate::job::{JobFolder, JobStatus};
use crate::remote;

/// Records the end of every job that has ended since the log was last looked
/// after, and returns the log's state. Whoever comes first writes an end; it is
/// written once.
pub fn settle(campaign: &Campaign) -> Result<State, CampaignError> {
    let state = campaign.state()?;
    let mut ended = false;
    for job in state.pending_jobs() {
        let folder = folder(campaign, job.id);
        // On another host it goes on without this one's supervisor.
        let _ = remote::pick_up(&folder);
        match folder.status() {
            Ok(status) if status.state.is_final() => {
                record(campaign, job, &folder, &status)?;
                ended = true;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, job = job.id, "a job's folder cannot be read"),
        }
    }
    if ended { campaign.state() } else { Ok(state) }
}

fn folder(campaign: &Campaign, id: &str) -> JobFolder {
    JobFolder {
        id: id.to_owned(),
        dir: campaign.root.join("jobs").join(id),
    }
}

fn record(
    campaign: &Campaign,
    job: Job<'_>,
    folder: &JobFolder,
    status: &JobStatus,
) -> Result<(), CampaignError> {
    let log = campaign.log();
    log.append_after(|events| -> Result<_, CampaignError> {
        let state = State::fold(log.path(), events)?;
        if !state.pending_jobs().contains(&job) {
            return Ok(None);
        }
        let event: NewEvent = match job.kind {
            JobKind::Benchmark => benchmark::ended(campaign, &state, folder, status)?,
            JobKind::Capture => capture::ended(&state, job, folder, status),
            JobKind::Checks => checks::ended(&state, job, folder, status),
        };
        Ok(Some(event.in_round(Some(state.round()))))
    })?;
    Ok(())
}
