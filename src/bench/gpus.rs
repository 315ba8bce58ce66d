//! Waiting for GPUs: one measurement at a time on each.

use std::time::{Duration, Instant};

use super::BenchError;
use super::error::list;
use crate::job::{JobHandle, JobState};
use crate::launch::{self, GpuLock};

const POLL: Duration = Duration::from_millis(500);

/// Waits for the GPUs, and refuses those that foreign processes still use after
/// `patience`; none when the job is cancelled meanwhile.
pub async fn take(
    gpu_ids: &[u32],
    deadline: Option<Instant>,
    patience: Duration,
    job: &JobHandle,
) -> Result<Option<GpuLock>, BenchError> {
    let Some(lock) = lock(gpu_ids, deadline, job).await? else {
        return Ok(None);
    };
    Ok(wait_free(gpu_ids, patience, job).await?.then_some(lock))
}

/// Waits until no process holds memory on the GPUs; false when the job is
/// cancelled meanwhile.
pub async fn wait_free(
    gpu_ids: &[u32],
    patience: Duration,
    job: &JobHandle,
) -> Result<bool, BenchError> {
    let until = Instant::now() + patience;
    let mut cancelled = job.cancellation();
    loop {
        let occupants = launch::occupants(gpu_ids);
        if occupants.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Err(BenchError::GpuBusy { occupants });
        }
        job.update(|status| status.message = format!("waiting for {}", list(&occupants)));
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(false),
        }
    }
}

/// Waits for the locks of the GPUs, whoever uses them; none when the job is
/// cancelled meanwhile.
pub async fn lock(
    gpu_ids: &[u32],
    deadline: Option<Instant>,
    job: &JobHandle,
) -> Result<Option<GpuLock>, BenchError> {
    let gpus = launch::resolve(gpu_ids)?;
    let mut cancelled = job.cancellation();
    loop {
        match GpuLock::try_take(&gpus, job.id())? {
            Ok(lock) => {
                job.update(|status| status.state = JobState::Running);
                return Ok(Some(lock));
            }
            Err(holder) => job.update(|status| {
                status.state = JobState::Queued;
                status.message = format!(
                    "waiting for GPUs held by job {} (pid {})",
                    holder.job, holder.pid
                );
            }),
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(BenchError::QueuedTooLong);
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(None),
        }
    }
}
