//! A benchmark on another host: supervisor and load generator run beside the
//! engine, and this host only follows.
//!
//! The [`conduct`]or is the job's local supervisor. It brings this same program
//! to the host, places the job's folder there, starts it (as a detached
//! supervisor, or as Slurm jobs), and copies the folder back while it runs. The
//! far end of each call is [`serve`]: one request on standard input, one answer
//! on standard output, and no state but the folder. So a conductor may die at
//! any moment, and the next one goes on where it was.

mod agent;
mod conductor;
mod ending;
mod files;
mod host_job;
mod line;
mod memo;
mod mirror;
mod protocol;
mod rows;
mod share;
mod slurm;
mod tasks;

pub use agent::serve;
pub use conductor::{conduct, pick_up};
pub use share::{Part, Share};
