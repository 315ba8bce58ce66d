//! Seconds of a prompt token, and how prompts and decode steps share time.

use super::run::Run;
use super::surface::StepSurface;

/// What a run shows of its prefill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrefillRate {
    /// Seconds of a prompt token, as the server counts them.
    pub seconds: f64,
    /// Prompt tokens computed along with one decode step; infinite where
    /// decoding waits for prompts.
    pub interleave: f64,
    /// Seconds in which decoding stood still and no prompt was computed.
    pub stalled: f64,
}

/// A window stalls when it is longer than its decode steps by this share, and
/// by this many of them.
const STALL: f64 = 0.15;
const STALL_STEPS: f64 = 2.5;
/// A window is busy with prompts when its decode steps explain less of it.
const MOSTLY_PREFILL: f64 = 0.5;
/// Fewer decode steps for each such window mean that decoding waits.
const WAITS: f64 = 0.3;

/// Measures the prefill: all time in which requests were in flight that decode
/// steps do not explain, over all prompt tokens. So the model's prefill and
/// decode time sum to the run's by construction.
pub fn prefill_rate(run: &Run, decode: &StepSurface, scale: f64) -> PrefillRate {
    let interleave = interleave(run, decode, scale);
    let stalled = stalled(run, decode, scale);
    let mut rest = -stalled;
    let mut tokens = 0.0;
    for window in &run.windows {
        let mixed = (window.prompt_tokens * scale / interleave).min(window.steps());
        rest += window.seconds() - window.idle - decode.window_seconds(window, mixed, scale);
        tokens += window.prompt_tokens * scale;
    }
    PrefillRate {
        seconds: if tokens > 0.0 {
            (rest / tokens).max(0.0)
        } else {
            0.0
        },
        interleave,
        stalled,
    }
}

/// Time beyond the decode steps of windows without a prompt, in them or beside
/// them. A token that came a little late makes one window long and the next
/// short, so that a stall must remain when its neighbours are added.
fn stalled(run: &Run, decode: &StepSurface, scale: f64) -> f64 {
    let excess: Vec<Option<f64>> = run
        .windows
        .iter()
        .map(|window| {
            let quiet = window.prompt_tokens == 0.0 && window.decoding >= 1.0;
            let seconds = window.seconds() - window.idle;
            (quiet && window.steps() >= 1.0)
                .then(|| seconds - decode.window_seconds(window, 0.0, scale))
        })
        .collect();
    let around = excess.windows(3).zip(run.windows.iter().skip(1));
    around
        .filter_map(|(excess, window)| {
            let [before, own, after] = [excess[0]?, excess[1]?, excess[2]?];
            let remains = own.min(before + own + after);
            let steps = decode.window_seconds(window, 0.0, scale);
            let least = (STALL_STEPS * steps / window.steps()).max(STALL * steps);
            (remains > least).then_some(remains)
        })
        .fold(0.0, |sum, stall| sum + stall)
}

fn interleave(run: &Run, decode: &StepSurface, scale: f64) -> f64 {
    let mut windows = 0.0;
    let mut steps = 0.0;
    let mut tokens = 0.0;
    for window in run.windows.iter().filter(|w| w.prompt_tokens > 0.0) {
        let decoding = decode.window_seconds(window, 0.0, scale);
        if decoding < MOSTLY_PREFILL * window.seconds() && window.decoding >= 1.0 {
            windows += 1.0;
            steps += window.steps();
            tokens += window.prompt_tokens * scale;
        }
    }
    if windows == 0.0 || steps < WAITS * windows {
        f64::INFINITY
    } else {
        tokens / steps
    }
}
