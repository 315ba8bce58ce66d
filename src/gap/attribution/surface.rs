//! Time of a decode step as a function of batch and context, by measurement.

use super::least_squares::{Belief, Observation, dot, fit, median};
use super::run::{Run, Window};

/// How far a run's own coefficients may lie from the common shape before its
/// observations have to insist: a tenth of the coefficient, or of a tenth of
/// the step where the coefficient is small. Two engines read the same weights
/// and the same cache on the same machine.
const BELIEF: f64 = 0.1;
const SMALL: f64 = 0.1;

/// Seconds of one decode step: base + batch · per sequence + context · per token.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepSurface {
    pub base: f64,
    pub per_sequence: f64,
    /// For each token of context over the whole batch.
    pub per_context: f64,
}

impl StepSurface {
    fn of([base, per_sequence, per_context]: [f64; 3]) -> Self {
        Self {
            base,
            per_sequence,
            per_context,
        }
    }

    /// Seconds of a step of `batch` sequences with `context` tokens in all.
    pub fn step(&self, batch: f64, context: f64) -> f64 {
        self.base + self.shared(batch, context)
    }

    /// The same without the base, which a step shares with a prefill in it.
    pub fn shared(&self, batch: f64, context: f64) -> f64 {
        batch * self.per_sequence + context * self.per_context
    }

    /// Seconds of a window's decode steps; `mixed` of them share a prefill.
    pub fn seconds(&self, window: &Window, mixed: f64, context_scale: f64) -> f64 {
        self.base * (window.steps() - mixed).max(0.0)
            + self.per_sequence * window.tokens
            + self.per_context * window.context * context_scale
    }
}

/// Fits both runs. What one run's steps cannot tell, such as the time of a
/// small batch that it never had, follows the shape common to both, scaled to
/// the run. None for a run without pure decode steps where the other has none
/// either.
pub fn surfaces(runs: [&Run; 2], context_scales: [f64; 2]) -> Option<[StepSurface; 2]> {
    let own = [
        observations(runs[0], context_scales[0]),
        observations(runs[1], context_scales[1]),
    ];
    let all: Vec<Observation> = own.iter().flatten().copied().collect();
    let common = fit(&all, None)?;
    let mean_features = mean_features(&all);
    let step = dot(&mean_features, &common);
    Some(own.map(|own| {
        let scale = scale_of(&own, &common);
        let mean = common.map(|x| x * scale);
        let mut deviation = [0.0; 3];
        for i in 0..3 {
            let small = SMALL * step * scale / mean_features[i].max(f64::MIN_POSITIVE);
            deviation[i] = BELIEF * mean[i].max(small);
        }
        let belief = Belief { mean, deviation };
        StepSurface::of(fit(&own, Some(&belief)).unwrap_or(mean))
    }))
}

/// One observation a pure decode window, for a single step.
fn observations(run: &Run, context_scale: f64) -> Vec<Observation> {
    run.windows
        .iter()
        .filter(|window| window.only_decodes())
        .map(|window| Observation {
            features: [
                window.steps(),
                window.tokens,
                window.context * context_scale,
            ],
            value: (window.seconds() - window.idle).max(1e-9),
        })
        .collect()
}

fn mean_features(observations: &[Observation]) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for observation in observations {
        for (sum, feature) in sums.iter_mut().zip(observation.features) {
            *sum += feature;
        }
    }
    sums.map(|sum| sum / observations.len().max(1) as f64)
}

/// How much slower than the common shape a run is.
fn scale_of(own: &[Observation], common: &[f64; 3]) -> f64 {
    let ratios: Vec<f64> = own
        .iter()
        .map(|o| o.value / dot(&o.features, common).max(f64::MIN_POSITIVE))
        .collect();
    if ratios.is_empty() {
        1.0
    } else {
        median(&ratios)
    }
}
