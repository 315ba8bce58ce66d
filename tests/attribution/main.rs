//! Where the time between two runs went: recorded runs of real engines, and
//! simulated engines with planted causes.

#[path = "../../benches/support/offline_samples.rs"]
mod offline_samples;
mod planted;
mod recorded;
mod support;
