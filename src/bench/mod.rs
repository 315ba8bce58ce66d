//! One fair benchmark: plan, candidates, workload, load, metrics, rows, summary.

pub mod plan;
