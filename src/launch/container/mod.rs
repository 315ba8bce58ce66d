//! Commands in containers: the exact `docker` arguments, how such a command is
//! ended, and what is removed after it.
//!
//! Ending the `docker` client does not end what runs inside. A container that
//! was started for a launch is removed by its name; in one that ran before, the
//! command's own process group is signalled inside, and every process that
//! still carries the launch's mark in its environment is killed.

mod docker;
mod mount;

pub use docker::{Container, ContainerKind};
pub use mount::{Mount, to_host, to_inside};
