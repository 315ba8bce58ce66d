//! Work that outlives its caller: a detached supervisor and its folder on disk.
//!
//! A job is a folder: `spec.json` (what), `status.json` (how far, rewritten
//! every second), `log`, `result.json`. The supervisor is this same binary in a
//! session of its own; it holds a lock in the folder for as long as it lives,
//! so that a job whose supervisor died is known to be `lost`. A job's key says
//! what it does: submitting a key that runs or is done returns that job.

mod error;
mod folder;
mod handle;
mod registry;
mod status;
mod submit;

pub use crate::state_dir::state_dir;
pub use error::JobError;
pub use folder::{JobFolder, JobSpec};
pub use handle::{JobHandle, Outcome, supervise};
pub use status::{JobState, JobStatus, Progress};
pub use submit::{Submission, adopt, enqueue, launch, open, restart, submit};

use std::time::SystemTime;

/// The present time as written in files, UTC.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
