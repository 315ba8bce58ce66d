//! Time of a decode step as a function of batch and context, by measurement.

use super::least_squares::{Belief, Observation, dot, fit, median};
use super::run::{Run, Window};

/// How far a run's own coefficients may lie from the common shape before its
/// observations have to insist: a tenth of the coefficient, or of a tenth of
/// the step where the coefficient is small. Two engines read the same weights
/// and the same cache on the same machine.
const BELIEF: f64 = 0.1;
const SMALL: f64 = 0.1;

/// Share of the time at small and at large batches that does not count as
/// measured.
const EDGE: f64 = 0.03;

/// Seconds of one decode step: base + batch · per sequence + context · per token.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Step {
    pub base: f64,
    pub per_sequence: f64,
    /// For each token of context over the whole batch.
    pub per_context: f64,
}

impl Step {
    fn of([base, per_sequence, per_context]: [f64; 3]) -> Self {
        Self {
            base,
            per_sequence,
            per_context,
        }
    }

    /// Seconds of a step of `batch` sequences with `context` tokens in all.
    pub fn seconds(&self, batch: f64, context: f64) -> f64 {
        self.base + self.shared(batch, context)
    }

    /// The same without the base, which a step shares with a prefill in it.
    pub fn shared(&self, batch: f64, context: f64) -> f64 {
        batch * self.per_sequence + context * self.per_context
    }

    fn scaled(&self, factor: f64) -> Self {
        Self {
            base: factor * self.base,
            per_sequence: factor * self.per_sequence,
            per_context: factor * self.per_context,
        }
    }
}

/// Decode steps of one run. Batches that it never had follow the shape common
/// to both runs, scaled to what was measured at the nearest batch it had.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepSurface {
    pub own: Step,
    pub common: Step,
    /// Batches that were measured.
    pub batches: [f64; 2],
}

impl StepSurface {
    /// The step that holds at a batch with a context.
    pub fn at(&self, batch: f64, context: f64) -> Step {
        let [least, most] = self.batches;
        if (least..=most).contains(&batch) || batch <= 0.0 {
            return self.own;
        }
        let nearest = batch.clamp(least, most);
        let context = context * nearest / batch;
        let common = self.common.seconds(nearest, context);
        if common <= 0.0 {
            return self.own;
        }
        self.common
            .scaled(self.own.seconds(nearest, context) / common)
    }

    /// The same, every step longer by a factor.
    pub fn paced(&self, factor: f64) -> Self {
        Self {
            own: self.own.scaled(factor),
            ..*self
        }
    }

    /// The same with a part of each step's fixed time taken out.
    pub fn without(&self, seconds: f64) -> Self {
        let less = |step: Step| Step {
            base: (step.base - seconds).max(0.0),
            ..step
        };
        Self {
            own: less(self.own),
            common: less(self.common),
            ..*self
        }
    }

    /// Seconds of a window's decode steps; `mixed` of them share a prefill.
    /// Contexts are `longer` by so many tokens than the window counts.
    pub fn window_seconds(&self, window: &Window, mixed: f64, longer: f64) -> f64 {
        let steps = window.steps();
        let context = window.context + longer * window.tokens;
        let step = self.at(window.decoding, context / steps.max(f64::MIN_POSITIVE));
        step.base * (steps - mixed).max(0.0)
            + step.per_sequence * window.tokens
            + step.per_context * context
    }
}

/// Fits both runs. What one run's steps cannot tell apart, such as a fixed cost
/// from one of each sequence where the batch never changed, follows the shape
/// common to both, scaled to the run. `longer` is what each run's contexts are
/// longer on the server than its client counts. None for a run without pure
/// decode steps where the other has none either.
pub fn surfaces(runs: [&Run; 2], longer: [f64; 2]) -> Option<[StepSurface; 2]> {
    let own = [
        observations(runs[0], longer[0]),
        observations(runs[1], longer[1]),
    ];
    let common = common_shape(&own)?;
    let all: Vec<Observation> = own.iter().flatten().copied().collect();
    let mean_features = mean_features(&all);
    let step = dot(&mean_features, &common);
    let batches = runs.map(measured_batches);
    let mut fits = own.into_iter().zip(batches).map(|(own, batches)| {
        let scale = scale_of(&own, &common);
        let mean = common.map(|x| x * scale);
        let mut deviation = [0.0; 3];
        for i in 0..3 {
            let small = SMALL * step * scale / mean_features[i].max(f64::MIN_POSITIVE);
            deviation[i] = BELIEF * mean[i].max(small);
        }
        let belief = Belief { mean, deviation };
        StepSurface {
            own: Step::of(fit(&own, Some(&belief)).unwrap_or(mean)),
            common: Step::of(common),
            batches,
        }
    });
    Some([fits.next()?, fits.next()?])
}

/// The shape that fits both runs when each may be slower or faster as a whole:
/// shape and scales in turn, until they hold still.
fn common_shape(own: &[Vec<Observation>; 2]) -> Option<[f64; 3]> {
    const TURNS: usize = 12;
    let mut scales = [1.0; 2];
    let mut common = [0.0; 3];
    for _ in 0..TURNS {
        let scaled: Vec<Observation> = own
            .iter()
            .zip(scales)
            .flat_map(|(own, scale)| {
                own.iter().map(move |o| Observation {
                    value: o.value / scale,
                    ..*o
                })
            })
            .collect();
        common = fit(&scaled, None)?;
        for (scale, own) in scales.iter_mut().zip(own) {
            *scale = scale_of(own, &common);
        }
    }
    Some(common)
}

/// The range of batches in which a run decoded, by time.
fn measured_batches(run: &Run) -> [f64; 2] {
    let mut batches: Vec<(f64, f64)> = run
        .windows
        .iter()
        .filter(|window| window.only_decodes())
        .map(|window| (window.decoding, window.seconds()))
        .collect();
    batches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = batches.iter().map(|(_, seconds)| seconds).sum();
    let reached = |share: f64| {
        let mut passed = 0.0;
        batches
            .iter()
            .find(|(_, seconds)| {
                passed += seconds;
                passed >= share * total
            })
            .map_or(0.0, |(batch, _)| *batch)
    };
    [reached(EDGE), reached(1.0 - EDGE)]
}

/// One observation a pure decode window, for a single step.
fn observations(run: &Run, longer: f64) -> Vec<Observation> {
    run.windows
        .iter()
        .filter(|window| window.only_decodes())
        .map(|window| Observation {
            features: [
                window.steps(),
                window.tokens,
                window.context + longer * window.tokens,
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
