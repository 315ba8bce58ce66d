//! How much faster the target became from one tree to another.
//!
//! In every benchmark the same leader runs interleaved with the target, so the
//! target's gap to it, as a log-ratio, is free of what the machine did that
//! day. The improvement of a scenario is the difference of two such gaps; its
//! interval is Welch's, with the Welch–Satterthwaite degrees of freedom.

use super::State;
use super::events::{BenchmarkLabel, GapChecked, Measured};
use super::state::Recorded;
use crate::gap::{ScenarioGap, two_sided_quantile};

const CONFIDENCE: f64 = 0.95;
/// One pair alone decides only beyond this, in percent.
const ONE_PAIR_PCT: f64 = 5.0;

/// What an improvement amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Better,
    Noise,
    Worse,
}

/// A mean of log-ratios with its squared standard error.
#[derive(Debug, Clone, Copy)]
struct Mean {
    value: f64,
    /// None for one pair.
    error: Option<SquaredError>,
}

#[derive(Debug, Clone, Copy)]
struct SquaredError {
    square: f64,
    freedom: f64,
}

/// The geomean improvement from the newest measurement of `base` to the newest
/// revalidation of `tree`; or what is missing to tell.
pub fn between(state: &State, base: &str, tree: &str) -> Result<Measured, String> {
    let newest = |tree: &str, only_revalidation: bool| {
        state.gaps.iter().rev().find(|gap| {
            gap.body.verified_tree() == Some(tree)
                && match gap.body.label {
                    BenchmarkLabel::Revalidation => true,
                    BenchmarkLabel::Baseline => !only_revalidation,
                    BenchmarkLabel::Smoke => false,
                }
        })
    };
    let after = newest(tree, true)
        .ok_or_else(|| "a revalidation at this tree, and check_gap on it".to_owned())?;
    let before = newest(base, false)
        .ok_or_else(|| "a gap decision that measured the base tree".to_owned())?;
    compare(before, after)
}

fn compare(
    before: &Recorded<GapChecked>,
    after: &Recorded<GapChecked>,
) -> Result<Measured, String> {
    let mut differences = Vec::new();
    for new in &after.body.record.scenarios {
        let old = before.body.record.scenarios.iter().find(|old| {
            old.scenario == new.scenario
                && old.request_rate == new.request_rate
                && old.max_concurrency == new.max_concurrency
        });
        let (Some(new), Some(old)) = (mean(new), old.and_then(mean)) else {
            return Err(format!(
                "scenario {} measured in both events {} and {}",
                new.scenario, before.seq, after.seq
            ));
        };
        differences.push(Mean {
            value: new.value - old.value,
            error: new.error.zip(old.error).map(|(a, b)| welch(&[a, b])),
        });
    }
    if differences.is_empty() {
        return Err("a scenario in the revalidation".to_owned());
    }
    let count = differences.len() as f64;
    let value = differences.iter().map(|mean| mean.value).sum::<f64>() / count;
    let errors: Option<Vec<SquaredError>> = differences.iter().map(|mean| mean.error).collect();
    let ci_pct = errors.map(|errors| {
        let sum = welch(&errors);
        let half = quantile(sum.freedom) * sum.square.sqrt() / count;
        [percent(value - half), percent(value + half)]
    });
    Ok(Measured {
        event: after.seq,
        improvement_pct: percent(value),
        ci_pct,
    })
}

/// Whether a measured improvement is more than noise.
pub fn judge(measured: &Measured) -> Judgement {
    let [lower, upper] = measured.ci_pct.unwrap_or([
        measured.improvement_pct - ONE_PAIR_PCT,
        measured.improvement_pct + ONE_PAIR_PCT,
    ]);
    if lower > 0.0 {
        Judgement::Better
    } else if upper < 0.0 {
        Judgement::Worse
    } else {
        Judgement::Noise
    }
}

/// A scenario's gap with the standard error that its interval tells.
fn mean(gap: &ScenarioGap) -> Option<Mean> {
    let value = log(gap.gap_pct?);
    let freedom = f64::from(gap.n.checked_sub(1)?);
    let error = gap.ci_pct.filter(|_| gap.n > 1).map(|[lower, upper]| {
        let half = (log(upper) - log(lower)) / 2.0;
        let error = half / quantile(freedom);
        SquaredError {
            square: error * error,
            freedom,
        }
    });
    Some(Mean { value, error })
}

/// Squared errors summed, with the Welch–Satterthwaite degrees of freedom.
fn welch(errors: &[SquaredError]) -> SquaredError {
    let square: f64 = errors.iter().map(|error| error.square).sum();
    let weight: f64 = errors
        .iter()
        .map(|error| error.square * error.square / error.freedom)
        .sum();
    let freedom = if weight > 0.0 {
        square * square / weight
    } else {
        errors.iter().map(|error| error.freedom).sum()
    };
    SquaredError { square, freedom }
}

/// Student's t, the degrees of freedom rounded down.
fn quantile(freedom: f64) -> f64 {
    two_sided_quantile(CONFIDENCE, (freedom as u32).max(1))
}

fn log(pct: f64) -> f64 {
    (pct / 100.0).ln_1p()
}

fn percent(log: f64) -> f64 {
    100.0 * log.exp_m1()
}
