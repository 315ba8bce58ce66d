//! Benchmarks on other hosts and in containers: a real sshd and a real one-node
//! Slurm of this machine, and a stand-in for docker.
//!
//! The servers are started by the tests and are gone after them. What they need
//! is not installed everywhere, so that each test says when it does not run.

mod captures;
mod docker;
mod home;
#[path = "../whole/plans.rs"]
#[allow(dead_code)]
mod plans;
mod slurm;
mod slurm_cluster;
mod ssh;
mod sshd;
#[path = "../whole/support.rs"]
#[allow(dead_code)]
mod support;
