//! Fair benchmarking of serving engines: workload, load and metrics.

pub mod load;
pub mod metrics;
pub mod workload;
