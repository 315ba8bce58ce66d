//! How well a layering fits its sequence, to choose between those of several
//! anchors.

use std::ops::Range;

use super::{Bag, Dense, Layering};

/// Layers this far apart are compared: the rarest type of a cycle recurs so soon.
const REACH: usize = 8;
/// A layer more like another than this is like it.
const LIKE: f64 = 0.9;
/// A layer less like all others is odd.
const ODD: f64 = 0.75;
/// So is one this many times as long as the usual one: it may be two.
const LONG: usize = 2;
/// The first or last layer may be the only one of its kind, as a dense layer
/// before expert ones: odd, but no less like another than this.
const LONE: f64 = 0.5;

/// What speaks for a layering.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// Whether nothing is odd: the layers are in one run, each but perhaps one at
    /// an end resembles another, and where kernels are known that mix tokens,
    /// each has one. Or there are several runs alike, which noise does not
    /// make: passes.
    pub sound: bool,
    /// For comparing layerings of one sequence.
    pub score: f64,
}

impl Fit {
    pub fn of(dense: &Dense, layering: &Layering) -> Self {
        let layers: Vec<&Range<usize>> = layering.runs.iter().flatten().collect();
        let mut bag = Bag::new(dense.distinct());
        let likeness: Vec<f64> = (0..layers.len())
            .map(|at| likeness(dense, &layers, at, &mut bag))
            .collect();
        let knows = dense.mixes.contains(&true);
        let mixing = layers
            .iter()
            .filter(|range| {
                let mut symbols = dense.symbols[(**range).clone()].iter();
                symbols.any(|&symbol| dense.mixes[symbol as usize])
            })
            .count();
        let mut lengths: Vec<usize> = layers.iter().map(|range| range.len()).collect();
        lengths.sort_unstable();
        let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
        let longest = lengths.last().copied().unwrap_or(0);
        let count = layers.len() as f64;
        let mixing = if knows { mixing as f64 / count } else { 1.0 };
        let like = likeness.iter().sum::<f64>() / count;
        Self {
            sound: is_several_passes(layering)
                || layering.runs.len() == 1
                    && mixing >= 1.0
                    && longest < LONG * usual
                    && none_is_odd(&likeness),
            score: like.powi(4) * mixing.powi(4) * count.sqrt(),
        }
    }
}

fn none_is_odd(likeness: &[f64]) -> bool {
    let odd = |likeness: &f64| *likeness < ODD;
    match likeness.iter().filter(|likeness| odd(likeness)).count() {
        0 => true,
        1 => [likeness.first(), likeness.last()]
            .into_iter()
            .flatten()
            .any(|end| odd(end) && *end >= LONE),
        _ => false,
    }
}

/// Whether two runs or more are about as long as the longest.
fn is_several_passes(layering: &Layering) -> bool {
    let most = layering.longest().len();
    let long = |run: &&Vec<Range<usize>>| 4 * run.len() >= 3 * most;
    layering.runs.iter().filter(long).count() >= 2
}

/// How much a layer is like the one nearby that it is most like.
fn likeness(dense: &Dense, layers: &[&Range<usize>], at: usize, bag: &mut Bag) -> f64 {
    let own = &dense.symbols[layers[at].clone()];
    let mut best: f64 = 0.0;
    for distance in 1..=REACH {
        for other in [at.checked_sub(distance), Some(at + distance)] {
            let Some(other) = other.and_then(|other| layers.get(other)) else {
                continue;
            };
            let other = &dense.symbols[(*other).clone()];
            if own == other {
                return 1.0;
            }
            let shared = 2.0 * bag.shared(own, other) as f64;
            best = best.max(shared / (own.len() + other.len()).max(1) as f64);
        }
        if best >= LIKE {
            break;
        }
    }
    best
}
