//! A job on another host: its supervisor runs there beside the engine, and this
//! host only follows.
//!
//! The [`conduct`]or is the job's local supervisor. It brings this same program
//! to the host, places the job's folder there, starts it (as a detached
//! supervisor, or as Slurm jobs), and copies the folder back while it runs. The
//! far end of each call is [`serve`]: one request on standard input, one answer
//! on standard output, and no state but the folder. So a conductor may die at
//! any moment, and the next one goes on where it was.
//!
//! What a job does there, and what becomes of its copied files, is the [`Work`]
//! of its kind.

mod agent;
mod conductor;
mod copied;
mod ending;
mod files;
mod host_job;
mod line;
mod memo;
mod mirror;
mod protocol;
mod slurm;
mod sources;
mod work;

pub use agent::serve;
pub use conductor::{cancel, conduct, pick_up};
pub use copied::Copied;
pub use protocol::{How, SlurmOptions, TaskSpec};
pub use sources::source_states;
pub use work::{Placement, Work};
