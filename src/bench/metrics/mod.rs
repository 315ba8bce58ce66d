//! From raw samples to the numbers of a benchmark row.
//!
//! Definitions, in full and beside those of two popular clients, stand in
//! `docs/metrics.md`. A metric that was not measured is absent, never 0.

mod client;
mod distribution;
mod latency;
mod slo;
mod steady;
mod summary;

pub use client::ClientHealth;
pub use distribution::Distribution;
pub use latency::{e2e_ms, tpot_ms, ttft_ms};
pub use slo::{Attainment, SloLimits, SloOutcome, Verdict, wilson_interval};
pub use steady::{SteadyState, steady_state};
pub use summary::{MetricExtras, Metrics, RowMetrics, TokenLengths, summarize};
