//! Where a command runs: process groups that leave nothing behind, logs, ports,
//! and the locks that keep measurements on one GPU set apart.
//!
//! An engine never runs as a direct child of the process that measures. A small
//! guard process (this same binary) owns its process group, writes its log,
//! and ends all of it when told to, or when whoever started it is gone. When the
//! guard itself is killed, whoever started it ends what is left; when both are,
//! the next supervisor of the job does ([`end_launches_under`]).

mod capture;
mod container;
mod ending;
mod error;
mod gpu;
mod gpu_lock;
mod guard;
mod leftovers;
mod port;
mod process;
pub mod remote;
mod tail;
mod telemetry;

pub use capture::{CaptureSpec, Captured, capture};
pub use container::{Container, ContainerKind, Mount, to_host, to_inside};
pub use error::LaunchError;
pub use gpu::{GpuId, Occupant, occupants, resolve};
pub use gpu_lock::{GpuLock, Holder};
pub use guard::{GuardSpec, guard};
pub use leftovers::{adopt_orphans, end_launches_under};
pub use port::{free_port, is_free};
pub use process::{CommandSpec, Ended, Running};
pub use tail::Tail;
pub use telemetry::{GpuMeter, GpuReading, GpuTelemetry};
