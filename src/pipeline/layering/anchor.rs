//! Which symbol cuts a sequence once a layer.

use std::cmp::Reverse;
use std::ops::Range;

use super::{Bag, Dense};

/// Anchors that are tried, at most.
const ANCHORS: usize = 4;
/// Symbols whose cuts are compared, at most.
const MOST: usize = 128;
/// Cuts must span at least this part of the sequence.
const LEAST_SPAN: f64 = 0.35;
/// Neighbours this alike are of one kind.
const ALIKE: f64 = 0.85;
/// Likeness of neighbours that a cut needs: where every segment is known to
/// mix tokens; where nothing is known; and where, besides, no two neighbours
/// are of one kind, as with the halves of a layer.
const LEAST_KNOWN: f64 = 0.35;
const LEAST_BLIND: f64 = 0.6;
const LEAST_ALTERNATING: f64 = 0.8;
/// Part of the segments that must mix tokens, where kernels that do are known.
const LEAST_MIXING: f64 = 0.85;
/// Cuts less numerous than the finest by more than this are coarser, rather
/// than the same cut without a few layers.
const SAME_LEVEL: f64 = 0.8;

/// What the cut at one symbol looks like.
#[derive(Debug, Clone, Copy)]
struct Cut {
    symbol: u32,
    count: usize,
    /// Part of the sequence between first and last cut.
    span: f64,
    /// Sørensen–Dice coefficient of neighbouring segments, by their length.
    likeness: f64,
    /// Part of the neighbouring pairs that are alike.
    alike: f64,
    /// Part of the segments that mix tokens.
    mixing: f64,
}

/// Anchors for the layers of a sequence, best first.
pub(super) fn ranked(dense: &Dense) -> Vec<u32> {
    let cuts = cuts(dense);
    let mixing = |cut: &&Cut| cut.mixing >= LEAST_MIXING && cut.likeness >= LEAST_KNOWN;
    let blind = |cut: &&Cut| {
        cut.likeness >= LEAST_BLIND && (cut.alike >= 0.3 || cut.likeness >= LEAST_ALTERNATING)
    };
    let mut passing: Vec<&Cut> = cuts.iter().filter(mixing).collect();
    if passing.is_empty() {
        passing = cuts.iter().filter(blind).collect();
    }
    let finest = passing.iter().map(|cut| cut.count).max().unwrap_or(0);
    let level = finest as f64 * SAME_LEVEL;
    passing.retain(|cut| cut.count as f64 >= level);
    // Noise may give half a layer a kernel that mixes tokens, but not to all.
    let known = cuts.iter().any(|cut| mixing(&cut));
    let mixed = |cut: &Cut| if known { cut.mixing.powi(4) } else { 1.0 };
    let score = |cut: &Cut| cut.likeness * cut.likeness * cut.count as f64 * mixed(cut);
    passing.sort_by(|a, b| score(b).total_cmp(&score(a)));
    passing.iter().take(ANCHORS).map(|cut| cut.symbol).collect()
}

fn cuts(dense: &Dense) -> Vec<Cut> {
    let span = |places: &[usize]| match (places.first(), places.last()) {
        (Some(first), Some(last)) => last - first,
        _ => 0,
    };
    let mut symbols: Vec<usize> = (0..dense.distinct())
        .filter(|&symbol| dense.places[symbol].len() >= 2)
        .collect();
    symbols.sort_by_key(|&symbol| Reverse(span(&dense.places[symbol])));
    symbols.truncate(MOST);
    let mut bag = Bag::new(dense.distinct());
    symbols
        .into_iter()
        .map(|symbol| measure(dense, symbol, &mut bag))
        .filter(|cut| cut.span >= LEAST_SPAN)
        .collect()
}

/// The stretches from each occurrence to the next; the last one, which has no
/// next, is cut to the usual length.
pub(super) fn segments(dense: &Dense, symbol: u32) -> Vec<Range<usize>> {
    let places = &dense.places[symbol as usize];
    let mut segments: Vec<Range<usize>> = places.windows(2).map(|pair| pair[0]..pair[1]).collect();
    let mut lengths: Vec<usize> = segments.iter().map(ExactSizeIterator::len).collect();
    lengths.sort_unstable();
    if let (Some(&usual), Some(&last)) = (lengths.get(lengths.len() / 2), places.last()) {
        segments.push(last..(last + usual).min(dense.len()));
    }
    segments
}

fn measure(dense: &Dense, symbol: usize, bag: &mut Bag) -> Cut {
    let segments = segments(dense, symbol as u32);
    let of = |range: &Range<usize>| &dense.symbols[range.clone()];
    let has_mixing = |range: &Range<usize>| {
        let mut symbols = of(range).iter();
        symbols.any(|&symbol| dense.mixes[symbol as usize])
    };
    let (mut shared, mut length, mut alike) = (0, 0, 0);
    let mut mixes = segments.first().is_some_and(has_mixing);
    let mut mixing = usize::from(mixes);
    for pair in segments.windows(2) {
        let (a, b) = (of(&pair[0]), of(&pair[1]));
        let both = a.len() + b.len();
        // Most layers of a model are equal, kernel by kernel.
        let common = if a == b {
            both
        } else {
            mixes = has_mixing(&pair[1]);
            2 * bag.shared(a, b)
        };
        mixing += usize::from(mixes);
        shared += common;
        length += both;
        alike += usize::from(common as f64 >= ALIKE * both as f64);
    }
    let from = segments.first().map_or(0, |range| range.start);
    let to = segments.last().map_or(0, |range| range.end);
    Cut {
        symbol: symbol as u32,
        count: segments.len(),
        span: (to - from) as f64 / dense.len() as f64,
        likeness: shared as f64 / length.max(1) as f64,
        alike: alike as f64 / segments.len().saturating_sub(1).max(1) as f64,
        mixing: mixing as f64 / segments.len().max(1) as f64,
    }
}
