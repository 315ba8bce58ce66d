//! Seconds of a prompt token, and how prompts and decode steps share time.

use super::run::Run;
use super::stalls::Decoding;
use super::surface::StepSurface;

/// What a run shows of its prefill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrefillRate {
    /// Seconds of a prompt token, as the server counts them.
    pub seconds: f64,
    /// Prompt tokens computed along with one decode step; infinite where
    /// decoding waits for prompts.
    pub interleave: f64,
}

/// A window is busy with prompts when its decode steps explain less of it.
const MOSTLY_PREFILL: f64 = 0.5;
/// Fewer decode steps for each such window mean that decoding waits.
const WAITS: f64 = 0.3;

/// Measures the prefill: all time that decode steps and stalls do not explain
/// while a prompt may have been computed, over all prompt tokens. Where the
/// pace of decoding could not be measured apart, that is all time in which
/// requests were in flight. `scale` is the server's count of prompt tokens over
/// the client's, `longer` what a context is longer by it.
pub fn prefill_rate(
    run: &Run,
    surface: &StepSurface,
    decoding: &Decoding,
    scale: f64,
    longer: f64,
) -> PrefillRate {
    let interleave = interleave(run, surface, scale, longer);
    let apart = decoding.pace.is_some();
    let mut rest = -if apart {
        decoding.stalled_beside_prompts
    } else {
        decoding.stalled
    };
    let mut tokens = 0.0;
    for window in &run.windows {
        let counts = window.may_prefill() || (!apart && window.in_flight() >= 0.05);
        if !counts {
            continue;
        }
        let mixed = (window.prompt_tokens * scale / interleave).min(window.steps());
        rest += window.seconds() - window.idle - surface.window_seconds(window, mixed, longer);
        tokens += window.prompt_tokens * scale;
    }
    PrefillRate {
        seconds: if tokens > 0.0 {
            (rest / tokens).max(0.0)
        } else {
            0.0
        },
        interleave,
    }
}

fn interleave(run: &Run, surface: &StepSurface, scale: f64, longer: f64) -> f64 {
    let mut windows = 0.0;
    let mut steps = 0.0;
    let mut tokens = 0.0;
    for window in run.windows.iter().filter(|w| w.prompt_tokens > 0.0) {
        let decoding = surface.window_seconds(window, 0.0, longer);
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
