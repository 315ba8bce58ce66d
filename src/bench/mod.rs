//! One fair benchmark: plan, candidates, workload, load, metrics, rows, summary.

pub mod load;
pub mod plan;
pub mod workload;
