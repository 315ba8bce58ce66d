//! Phases, waves of admission, tail and stalls of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{RequestSpan, Window, micros};

/// Share of the peak number of decoding requests that counts as steady.
const STEADY: f64 = 0.9;
/// The tail is the time after the last moment above this share of the peak.
pub const TAIL_SHARE: f64 = 0.5;
/// Admission pauses for at least this share of the run between two waves.
const BETWEEN_WAVES: f64 = 0.05;
/// And for at least this many times the median time between first tokens.
const BETWEEN_WAVES_TIMES: f64 = 10.0;
/// A stall lasts at least this share of the run.
const STALL: f64 = 0.01;

/// How a run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// Most requests that decoded at once, as a mean over a window.
    pub peak_decoding: f64,
    /// Mean number of decoding requests over the run, weighted by time.
    pub mean_decoding: f64,
    pub ramp: Phase,
    /// From the first to the last moment at which 90% of the peak decoded.
    pub steady: Phase,
    pub drain: Phase,
    /// Time after the last moment at which half of the peak decoded.
    pub tail_s: f64,
    /// Most requests that decoded in the tail.
    pub tail_decoding: f64,
    /// Groups of admissions with a pause between them in which requests waited.
    pub waves: Vec<Wave>,
    /// Times in which requests were in flight and no token came to any.
    pub stalls: Vec<Phase>,
    /// Time in which requests were decoding and none of them got a token,
    /// because prompts went first.
    pub decode_held_s: f64,
    /// Mean time of one token for the whole batch, by batch size.
    pub step_ms_by_decoding: Vec<StepTime>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    pub from: f64,
    pub to: f64,
}

/// Requests that were admitted one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// First and last first token.
    pub from: f64,
    pub to: f64,
    pub requests: usize,
}

/// Time of a decode step at a batch size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepTime {
    /// Mean number of decoding requests of these windows.
    pub decoding: f64,
    pub step_ms: f64,
    /// Time that these windows cover.
    pub seconds: f64,
}

impl Phase {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }
}

/// Describes a run by its windows and requests; `firsts` are sorted.
pub fn shape(windows: &[Window], spans: &[RequestSpan], firsts: &[f64], duration: f64) -> Shape {
    let peak = windows.iter().map(|w| w.decoding).fold(0.0, f64::max);
    let weighted: f64 = windows.iter().map(|w| w.decoding * w.seconds()).sum();
    let above = |share: f64| move |w: &&Window| w.decoding >= share * peak;
    let from = windows.iter().find(above(STEADY)).map_or(0.0, |w| w.from);
    let to = windows.iter().rfind(above(STEADY)).map_or(0.0, |w| w.to);
    let tail_from = windows
        .iter()
        .rfind(above(TAIL_SHARE))
        .map_or(0.0, |w| w.to);
    let phase = |from: f64, to: f64| Phase {
        from: micros(from),
        to: micros(to),
    };
    Shape {
        peak_decoding: round(peak),
        mean_decoding: round(weighted / duration.max(f64::MIN_POSITIVE)),
        ramp: phase(0.0, from),
        steady: phase(from, to),
        drain: phase(to, duration),
        tail_s: micros(duration - tail_from),
        tail_decoding: round(
            windows
                .iter()
                .filter(|w| w.from >= tail_from)
                .map(|w| w.decoding)
                .fold(0.0, f64::max),
        ),
        waves: waves(spans, firsts, duration),
        stalls: stalls(windows, duration),
        decode_held_s: micros(
            windows
                .iter()
                .filter(|w| w.decoding >= 1.0 && w.tokens < 0.5 * w.decoding)
                .map(Window::seconds)
                .sum(),
        ),
        step_ms_by_decoding: step_times(windows, peak),
    }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn waves(spans: &[RequestSpan], firsts: &[f64], duration: f64) -> Vec<Wave> {
    let mut gaps: Vec<f64> = firsts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let median = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
    let long = (BETWEEN_WAVES * duration).max(BETWEEN_WAVES_TIMES * median);
    let mut sent: Vec<f64> = spans.iter().map(|span| span.sent).collect();
    sent.sort_by(f64::total_cmp);
    let mut waves: Vec<Wave> = Vec::new();
    for (i, first) in firsts.iter().enumerate() {
        // Those sent by the end of the last wave that had no first token yet.
        let waited = |wave: &Wave| sent.partition_point(|at| *at <= wave.to) > i;
        match waves.last_mut() {
            Some(wave) if !(first - wave.to > long && waited(wave)) => {
                wave.to = *first;
                wave.requests += 1;
            }
            _ => waves.push(Wave {
                from: *first,
                to: *first,
                requests: 1,
            }),
        }
    }
    waves
}

fn stalls(windows: &[Window], duration: f64) -> Vec<Phase> {
    let mut stalls: Vec<Phase> = Vec::new();
    let quiet = |w: &Window| {
        w.tokens == 0.0
            && w.first_tokens == 0
            && w.idle < 0.5 * w.seconds()
            && w.running() + w.waiting > 0.0
    };
    for window in windows.iter().filter(|window| quiet(window)) {
        match stalls.last_mut() {
            Some(stall) if stall.to == window.from => stall.to = window.to,
            _ => stalls.push(Phase {
                from: window.from,
                to: window.to,
            }),
        }
    }
    stalls.retain(|stall| stall.seconds() >= STALL * duration);
    stalls
}

/// Step times of pure decode windows in eight classes of batch size.
fn step_times(windows: &[Window], peak: f64) -> Vec<StepTime> {
    const CLASSES: usize = 8;
    let mut sums = [(0.0, 0.0, 0.0); CLASSES];
    let decodes = |w: &&Window| w.prompt_tokens == 0.0 && w.tokens > 2.0 * w.decoding;
    for window in windows.iter().filter(decodes) {
        let class = (window.decoding / peak.max(f64::MIN_POSITIVE) * CLASSES as f64) as usize;
        if let Some((seconds, steps, batch)) = sums.get_mut(class.min(CLASSES - 1)) {
            *seconds += window.seconds();
            *steps += window.tokens / window.decoding.max(f64::MIN_POSITIVE);
            *batch += window.decoding * window.seconds();
        }
    }
    sums.iter()
        .filter(|(seconds, steps, _)| *seconds > 0.0 && *steps > 0.0)
        .map(|(seconds, steps, batch)| StepTime {
            decoding: round(batch / seconds),
            step_ms: micros(1e3 * seconds / steps),
            seconds: micros(*seconds),
        })
        .collect()
}
