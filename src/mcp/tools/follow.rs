//! Waiting for a job within one call.

use std::time::{Duration, Instant};

use crate::fault::{Fault, FaultCode};
use crate::job::JobFolder;
use crate::mcp::ToolContext;

/// Refuses a wait that hosts would cut off.
pub fn check_wait(wait_s: u32) -> Result<(), Fault> {
    if wait_s <= 240 {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::InvalidArgument,
        format!("wait_s is {wait_s}, over 240"),
        "wait at most 240 s, then call again with job_id",
    ))
}

/// Waits until the job ends, the time is up, or the caller gives up on the
/// call; the job itself goes on.
pub async fn follow(
    job: &JobFolder,
    wait: Duration,
    unit: &str,
    context: &ToolContext,
) -> Result<(), Fault> {
    let started = Instant::now();
    let mut told = 0;
    loop {
        let folder = job.clone();
        let status = context.blocking(move || Ok(folder.status()?)).await?;
        let elapsed = started.elapsed();
        if status.state.is_final() || elapsed >= wait {
            return Ok(());
        }
        // Progress must grow with every note, which waiting time does.
        if elapsed.as_secs() > told {
            told = elapsed.as_secs();
            let progress = status.progress;
            let message = format!(
                "{} ({:.0} of {:.0} {unit})",
                status.message, progress.done, progress.total
            );
            context.progress(told as f64, Some(wait.as_secs_f64()), message);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = context.cancelled() => return Ok(()),
        }
    }
}
