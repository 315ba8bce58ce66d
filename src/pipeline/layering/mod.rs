//! Layers, found as repeats in a sequence of kernels.
//!
//! Nothing here knows a kernel by name. A sequence is a list of [`Symbol`]s,
//! equal where the kernels are equal, and a flag for each symbol that says
//! whether such kernels mix tokens (attention and its relatives). The flag is
//! a hint: it tells half a layer from a layer where both repeat equally well.
//!
//! 1. [`anchor`]: every symbol cuts the sequence at its occurrences. A good
//!    cut gives segments that resemble their neighbours; of all good cuts the
//!    finest is one cut a layer, wherever in the layer it falls.
//! 2. [`chain`]: the symbols that occur once between cuts form a cyclic
//!    order. The best chain of them through the sequence, where inserted and
//!    missing kernels only cost a little, says which kernel is in which layer
//!    and survives noise that any single symbol would not.
//! 3. [`repair`]: layers that resemble no other are parsed again, as layers
//!    like the others with kernels inserted or missing.
//! 4. [`bounds`]: the cyclic order is opened where the fewest layers come out
//!    incomplete; each layer is widened to the kernels that repeat around it.
//! 5. [`fit`]: where a layer is odd, further openings and anchors are tried,
//!    and the layering that fits best is taken. Noise misleads single ones.

mod anchor;
mod bounds;
mod chain;
mod fit;
mod repair;
#[cfg(test)]
mod tests;

use std::ops::Range;

use hashbrown::HashMap;

use fit::Fit;

/// A kernel's identity within one sequence.
pub(super) type Symbol = u32;

/// Places where the cyclic order of one anchor is opened, at most.
const OPENINGS: usize = 6;
/// Sequences past this length are not searched.
const LONGEST: usize = 400_000;

/// Layers of one sequence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layering {
    /// Runs of layers that follow each other without foreign kernels between.
    pub runs: Vec<Vec<Range<usize>>>,
    /// How much of the repeated core the layers hold on average, 0 to 1.
    pub regularity: f64,
    /// How much of the layers the repeated core makes up, 0 to 1.
    pub core_share: f64,
}

impl Layering {
    /// The run with the most layers.
    pub fn longest(&self) -> &[Range<usize>] {
        self.runs
            .iter()
            .rev()
            .max_by_key(|run| run.len())
            .map_or(&[], Vec::as_slice)
    }

    /// For comparing two readings of the same kernels.
    pub fn quality(&self) -> f64 {
        self.regularity * self.core_share.sqrt()
    }
}

/// Why a sequence has no layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoLayers {
    #[error("it has only {kernels} kernels")]
    TooFew { kernels: usize },
    #[error("it has {kernels} kernels, more than the {LONGEST} that are searched")]
    TooMany { kernels: usize },
    #[error(
        "no group of its {kernels} kernels repeats in a row: there is one layer, or none that resembles another"
    )]
    NothingRepeats { kernels: usize },
}

/// Finds the layers of a sequence. `mixes` answers for every symbol in it.
pub(super) fn find(
    sequence: &[Symbol],
    mixes: impl Fn(Symbol) -> bool,
) -> Result<Layering, NoLayers> {
    let kernels = sequence.len();
    if kernels < 4 {
        return Err(NoLayers::TooFew { kernels });
    }
    if kernels > LONGEST {
        return Err(NoLayers::TooMany { kernels });
    }
    let dense = Dense::new(sequence, mixes);
    let mut best: Option<(f64, Layering)> = None;
    for anchor in anchor::ranked(&dense) {
        let Some(core) = chain::Core::new(&dense, anchor) else {
            continue;
        };
        let openings = chain::Openings::new(&dense, &core);
        for groups in openings.groups().take(OPENINGS) {
            let groups = repair::repaired(&dense, groups);
            let Some(layering) = bounds::layering(&dense, &core, &groups) else {
                continue;
            };
            let fit = Fit::of(&dense, &layering);
            if fit.sound {
                return Ok(layering);
            }
            if best.as_ref().is_none_or(|(score, _)| fit.score > *score) {
                best = Some((fit.score, layering));
            }
        }
    }
    best.map(|(_, layering)| layering)
        .ok_or(NoLayers::NothingRepeats { kernels })
}

/// A sequence whose symbols are numbered from 0 without gaps.
struct Dense {
    symbols: Vec<u32>,
    /// Where each symbol occurs, ascending.
    places: Vec<Vec<usize>>,
    mixes: Vec<bool>,
}

impl Dense {
    fn new(sequence: &[Symbol], mixes: impl Fn(Symbol) -> bool) -> Self {
        let mut known: HashMap<Symbol, u32> = HashMap::new();
        let mut dense = Self {
            symbols: Vec::with_capacity(sequence.len()),
            places: Vec::new(),
            mixes: Vec::new(),
        };
        for (at, &symbol) in sequence.iter().enumerate() {
            let id = *known.entry(symbol).or_insert_with(|| {
                dense.places.push(Vec::new());
                dense.mixes.push(mixes(symbol));
                dense.places.len() as u32 - 1
            });
            dense.places[id as usize].push(at);
            dense.symbols.push(id);
        }
        dense
    }

    fn len(&self) -> usize {
        self.symbols.len()
    }

    fn distinct(&self) -> usize {
        self.places.len()
    }
}

/// How often each symbol occurs in a stretch; cleared by what was counted.
struct Bag {
    counts: Vec<u32>,
}

impl Bag {
    fn new(distinct: usize) -> Self {
        Self {
            counts: vec![0; distinct],
        }
    }

    fn fill(&mut self, symbols: &[u32]) {
        for &symbol in symbols {
            self.counts[symbol as usize] += 1;
        }
    }

    fn clear(&mut self, symbols: &[u32]) {
        for &symbol in symbols {
            self.counts[symbol as usize] = 0;
        }
    }

    /// Symbols that two stretches share, each as often as both have it.
    fn shared(&mut self, a: &[u32], b: &[u32]) -> usize {
        self.fill(a);
        let mut shared = 0;
        for &symbol in b {
            let left = &mut self.counts[symbol as usize];
            if *left > 0 {
                *left -= 1;
                shared += 1;
            }
        }
        self.clear(a);
        shared
    }
}
