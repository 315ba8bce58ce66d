//! Whether the client itself kept up: a slow client looks like a slow engine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Distribution;
use crate::bench::load::LoadOutcome;

/// Above this share of a processor, latency tails are the client's own.
const BUSY_PCT: f64 = 70.0;

/// Above this lateness, requests did not go out when they were due.
const LATE_MS: f64 = 5.0;

/// The load generator's own behaviour during a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientHealth {
    /// Share of a processor that the busiest load thread took, in percent.
    pub client_cpu_pct: f64,
    pub client_threads: usize,
    /// How late requests were sent through the client's own fault (p99, ms):
    /// waits for the concurrency cap and for connecting are not in it.
    pub dispatch_lag_p99_ms: Option<f64>,
    /// Why the run's latencies are not to be trusted; empty when they are.
    pub warnings: Vec<String>,
}

impl ClientHealth {
    pub(super) fn of(outcome: &LoadOutcome) -> Self {
        let lag = Distribution::new(
            outcome
                .samples
                .iter()
                .map(|sample| sample.dispatch_lag_ns() as f64 / 1e6),
        )
        .percentile(99.0);
        let busy = outcome.client.busiest_cpu_pct;
        let mut warnings = Vec::new();
        if busy > BUSY_PCT {
            warnings.push(format!(
                "the busiest load thread was on a processor for {busy:.0}% of the run; latency tails may be the client's own: use more load threads"
            ));
        }
        if let Some(lag) = lag.filter(|lag| *lag > LATE_MS) {
            warnings.push(format!(
                "1% of the requests were sent {lag:.1} ms or more after they were due; the client or its host is overloaded"
            ));
        }
        Self {
            client_cpu_pct: busy,
            client_threads: outcome.client.threads,
            dispatch_lag_p99_ms: lag,
            warnings,
        }
    }
}
