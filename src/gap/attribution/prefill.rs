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
/// by one step.
const STALL: f64 = 0.15;
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
        rest += window.seconds() - window.idle - decode.seconds(window, mixed, scale);
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

/// Time beyond the decode steps of windows without a prompt, in their middle
/// or just after.
fn stalled(run: &Run, decode: &StepSurface, scale: f64) -> f64 {
    let next = run.windows.iter().skip(1).map(Some).chain([None]);
    run.windows
        .iter()
        .zip(next)
        .filter(|(window, next)| {
            let prompts = next.is_some_and(|next| next.prompt_tokens > 0.0);
            window.prompt_tokens == 0.0
                && !prompts
                && window.decoding >= 1.0
                && window.steps() >= 1.0
        })
        .map(|(window, _)| {
            let steps = decode.seconds(window, 0.0, scale);
            let excess = window.seconds() - window.idle - steps;
            let one_step = steps / window.steps();
            if excess > one_step.max(STALL * steps) {
                excess
            } else {
                0.0
            }
        })
        .sum()
}

fn interleave(run: &Run, decode: &StepSurface, scale: f64) -> f64 {
    let mut windows = 0.0;
    let mut steps = 0.0;
    let mut tokens = 0.0;
    for window in run.windows.iter().filter(|w| w.prompt_tokens > 0.0) {
        let decoding = decode.seconds(window, 0.0, scale);
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
