//! Time in which decoding stood still though no prompt was computed.

use super::run::{Run, Window};
use super::surface::StepSurface;

/// A window stalls when it is longer than its decode steps by this share, and
/// by this many of them.
const STALL: f64 = 0.15;
const STALL_STEPS: f64 = 2.5;
/// Windows within which tokens that were only late have caught up.
const CATCH_UP: usize = 8;
/// The pace of decoding is measured where the windows in which nothing else
/// can have happened are at least this share of all decoding.
const ENOUGH: f64 = 0.5;

/// How a run's decode windows compare with the surface of its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoding {
    /// Seconds of stalls in the whole run.
    pub stalled: f64,
    /// The part of them in windows in which a prompt may have been computed.
    pub stalled_beside_prompts: f64,
    /// Time of the windows in which nothing but decoding can have happened,
    /// stalls aside, over that of the surface. None where they are too few.
    pub pace: Option<f64>,
}

/// Reads the stalls and the pace. `longer` is what a context is longer on the
/// server than the client counts, in tokens.
pub fn decoding(run: &Run, surface: &StepSurface, longer: f64) -> Decoding {
    let excess: Vec<Option<f64>> = run
        .windows
        .iter()
        .map(|window| {
            let quiet = window.prompt_tokens == 0.0 && window.decoding >= 1.0;
            let seconds = window.seconds() - window.idle;
            (quiet && window.steps() >= 1.0)
                .then(|| seconds - surface.window_seconds(window, 0.0, longer))
        })
        .collect();
    let stalls = stalls(&run.windows, &excess, surface, longer);
    let beside = |(window, stall): (&Window, &f64)| window.may_prefill().then_some(*stall);
    Decoding {
        stalled: stalls.iter().fold(0.0, |sum, stall| sum + stall),
        stalled_beside_prompts: run
            .windows
            .iter()
            .zip(&stalls)
            .filter_map(beside)
            .fold(0.0, |sum, stall| sum + stall),
        pace: pace(&run.windows, &stalls, surface, longer),
    }
}

/// The stall of each window, mostly 0.
fn stalls(
    windows: &[Window],
    excess: &[Option<f64>],
    surface: &StepSurface,
    longer: f64,
) -> Vec<f64> {
    let lasting = lasting(excess);
    let quiet = |i: usize| excess.get(i).is_some_and(Option::is_some);
    let over = |i: usize| windows.get(i).is_none_or(|next| next.in_flight() < 0.5);
    windows
        .iter()
        .zip(lasting)
        .enumerate()
        .map(|(i, (window, lasting))| {
            // Beside a window with a prompt, the prompt may be the reason.
            let alone = i > 0 && quiet(i - 1) && (quiet(i + 1) || over(i + 1));
            let steps = surface.window_seconds(window, 0.0, longer);
            let least = (STALL_STEPS * steps / window.steps()).max(STALL * steps);
            if alone && lasting > least {
                lasting
            } else {
                0.0
            }
        })
        .collect()
}

/// What remains of each excess when windows that are too short by as much
/// stand close to it: a token that came late makes one window long, and
/// another one short.
fn lasting(excess: &[Option<f64>]) -> Vec<f64> {
    let mut left: Vec<f64> = excess.iter().map(|e| e.unwrap_or_default()).collect();
    for i in 0..left.len() {
        // The nearest come first; a window with a prompt ends the search.
        for j in (i.saturating_sub(CATCH_UP)..i).rev() {
            let (Some(Some(_)), Some(before), Some(own)) =
                (excess.get(j), left.get(j).copied(), left.get(i).copied())
            else {
                break;
            };
            if before * own >= 0.0 {
                continue;
            }
            let matched = before.abs().min(own.abs());
            if let Some(before) = left.get_mut(j) {
                *before -= matched.copysign(*before);
            }
            if let Some(own) = left.get_mut(i) {
                *own -= matched.copysign(*own);
            }
        }
    }
    left
}

fn pace(windows: &[Window], stalls: &[f64], surface: &StepSurface, longer: f64) -> Option<f64> {
    let (mut taken, mut modelled, mut all) = (0.0, 0.0, 0.0);
    for (window, stall) in windows.iter().zip(stalls) {
        let seconds = window.seconds() - window.idle;
        if window.prompt_tokens == 0.0 && window.decoding >= 0.5 {
            all += seconds;
            if !window.may_prefill() {
                taken += seconds - stall;
                modelled += surface.window_seconds(window, 0.0, longer);
            }
        }
    }
    (modelled > 0.0 && taken >= ENOUGH * all).then(|| taken / modelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lasting_of(excess: &[f64]) -> Vec<f64> {
        let excess: Vec<Option<f64>> = excess.iter().copied().map(Some).collect();
        lasting(&excess)
    }

    #[test]
    fn tokens_that_catch_up_were_only_late() {
        assert_eq!(lasting_of(&[0.0, 3.0, 2.0, -1.0, -4.0]), [0.0; 5]);
        assert_eq!(lasting_of(&[-2.0, 0.0, 2.0]), [0.0; 3]);
        assert_eq!(lasting_of(&[0.0, 5.0, -2.0, 0.0]), [0.0, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn what_comes_much_later_does_not_make_it_good() {
        let mut excess = vec![5.0];
        excess.extend([0.0; CATCH_UP]);
        excess.push(-5.0);
        assert_eq!(lasting_of(&excess)[0], 5.0);
    }

    #[test]
    fn a_window_with_a_prompt_ends_the_search() {
        let excess = [Some(5.0), None, Some(-5.0)];
        assert_eq!(lasting(&excess), [5.0, 0.0, -5.0]);
    }
}
