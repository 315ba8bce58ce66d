//! Warm-up: passes of a few requests until two in a row agree.

use std::sync::Arc;
use std::time::Instant;

use super::failure::RunFailure;
use super::load::{LoadRun, Sample};
use super::metrics::Distribution;
use super::server::{Server, drive};
use super::workload::Prompt;

/// Two passes agree when their median latencies differ by no more than this share.
const AGREEMENT: f64 = 0.05;
/// Passes at most; an engine that has not settled by then is measured as it is.
const MOST_PASSES: u32 = 6;

/// How a warm-up went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Warmup {
    pub passes: u32,
    pub seconds: f64,
    /// Whether two passes in a row agreed; none when no warm-up was asked for.
    pub settled: Option<bool>,
}

/// Runs passes of `template` with the prompts that `prompts` gives for each.
pub async fn warm_up(
    server: &Server,
    template: &LoadRun,
    prompts: impl Fn(u32) -> Result<Vec<Prompt>, RunFailure>,
    cancel: super::load::Cancel,
) -> Result<Warmup, RunFailure> {
    let started = Instant::now();
    let mut warmup = Warmup::default();
    let mut before: Option<f64> = None;
    while warmup.passes < MOST_PASSES {
        let mut run = template.clone();
        run.prompts = prompts(warmup.passes)?;
        if run.prompts.is_empty() {
            return Ok(warmup);
        }
        let outcome = tokio::select! {
            ended = server.ended() => {
                return Err(RunFailure::died(&ended, "during warm-up", &server.log));
            }
            outcome = drive(run, Arc::default(), cancel.clone()) => outcome?,
        };
        if *cancel.borrow() {
            return Err(RunFailure::cancelled());
        }
        warmup.passes += 1;
        let median = median_ms(&outcome.samples)?;
        let settled = before.is_some_and(|before| agree(before, median));
        warmup.settled = Some(settled);
        if settled {
            break;
        }
        before = Some(median);
    }
    warmup.seconds = started.elapsed().as_secs_f64();
    Ok(warmup)
}

fn agree(before: f64, now: f64) -> bool {
    (now - before).abs() <= AGREEMENT * before.max(now)
}

/// Median latency of a pass; a pass without one good request is a failure.
fn median_ms(samples: &[Sample]) -> Result<f64, RunFailure> {
    let latencies = samples
        .iter()
        .filter(|sample| sample.is_ok())
        .filter_map(|sample| Some(sample.end_ns? as f64 / 1e6));
    Distribution::new(latencies)
        .percentile(50.0)
        .ok_or_else(|| {
            let first = samples.iter().find_map(|sample| sample.error.as_ref());
            RunFailure::failed(format!(
                "no warm-up request succeeded: {}",
                first.map_or("no answer", |error| error.message.as_str())
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn passes_agree_within_five_percent() {
        assert!(agree(100.0, 105.0));
        assert!(agree(105.0, 100.0));
        assert!(!agree(100.0, 106.0));
    }
}
