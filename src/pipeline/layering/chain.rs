//! Which occurrence of a core symbol belongs to which layer.

use std::ops::Range;

use hashbrown::HashMap;

use super::anchor::segments;
use super::{Bag, Dense};

/// Part of the segments with a core symbol that must have it exactly once.
const CORE: f64 = 0.8;
/// Orders of core symbols that are merged, one a layer type and some to spare.
const MERGED: usize = 6;
/// Core symbols, at most.
const WIDEST: usize = 1024;
/// Segments that must have the same order for it to be more than noise.
const MERGED_LEAST: usize = 2;
/// Cost of a core symbol that a layer lacks, in matched symbols.
const MISSING: f32 = 0.25;
/// Cost of an occurrence that is left out as noise.
const NOISE: f32 = 0.5;
/// Cost of each other kernel between two occurrences.
const GAP: f32 = 0.15;
/// How many occurrences in a row can be noise.
const REACH: usize = 24;
/// A layer holds at least this part of the core.
const LEAST_FILL: f64 = 0.25;

/// Symbols that occur once a layer, in the order in which they do, opened
/// anywhere.
#[derive(Debug)]
pub(super) struct Core {
    pub size: usize,
    slot: Vec<Option<usize>>,
    /// Core symbols that a layer lacks which goes from one slot to another,
    /// row by row.
    lacking: Vec<u16>,
}

impl Core {
    /// The core that goes with an anchor; `None` when it has fewer than two
    /// symbols or too many to compare.
    pub fn new(dense: &Dense, anchor: u32) -> Option<Self> {
        let mut segments = segments(dense, anchor);
        if segments.len() > 2 {
            segments.pop();
        }
        let steady = Steady::new(dense, &segments);
        let mut counts: HashMap<Vec<u32>, usize> = HashMap::new();
        for range in &segments {
            *counts.entry(steady.order(dense, range)).or_insert(0) += 1;
        }
        let mut counts: Vec<(Vec<u32>, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| (b.1, b.0.len(), &b.0).cmp(&(a.1, a.0.len(), &a.0)));
        let mut orders: Vec<Vec<u32>> = Vec::new();
        let mut all: Vec<u32> = Vec::new();
        for (order, count) in counts {
            // Another type has something else in the place of something; what
            // only has more, or less, is noise.
            let other = all.iter().any(|symbol| !order.contains(symbol))
                && order.iter().any(|symbol| !all.contains(symbol));
            let frequent = count >= MERGED_LEAST.max(segments.len() / 12);
            if all.is_empty() || frequent && other && orders.len() < MERGED {
                all = merged(&all, &order);
                orders.push(order);
            }
        }
        if !(2..=WIDEST).contains(&all.len()) {
            return None;
        }
        let mut slot = vec![None; dense.distinct()];
        for (position, &symbol) in all.iter().enumerate() {
            slot[symbol as usize] = Some(position);
        }
        let size = all.len();
        let mut lacking = vec![0; size * size];
        for from in 0..size {
            for to in 0..size {
                lacking[from * size + to] = ((to + size - from - 1) % size) as u16;
            }
        }
        for order in &orders {
            let slots: Vec<usize> = order
                .iter()
                .filter_map(|&symbol| slot[symbol as usize])
                .collect();
            for (a, &from) in slots.iter().enumerate() {
                for (b, &to) in slots.iter().enumerate() {
                    let between = ((b + slots.len() - a - 1) % slots.len()) as u16;
                    let least = &mut lacking[from * size + to];
                    *least = between.min(*least);
                }
            }
        }
        Some(Self {
            size,
            slot,
            lacking,
        })
    }
}

/// Which symbols occur once in the segments that have them at all.
struct Steady(Vec<bool>);

impl Steady {
    fn new(dense: &Dense, segments: &[Range<usize>]) -> Self {
        let mut once = vec![0_usize; dense.distinct()];
        let mut present = vec![0_usize; dense.distinct()];
        let mut bag = Bag::new(dense.distinct());
        for range in segments {
            let symbols = &dense.symbols[range.clone()];
            bag.fill(symbols);
            for &symbol in symbols {
                let count = std::mem::take(&mut bag.counts[symbol as usize]);
                once[symbol as usize] += usize::from(count == 1);
                present[symbol as usize] += usize::from(count > 0);
            }
        }
        let least = segments.len().min(2);
        let steady = |(&once, &present): (&usize, &usize)| {
            let but_one = present >= 4 && once + 1 == present;
            present >= least && (but_one || once as f64 >= CORE * present as f64)
        };
        Self(once.iter().zip(&present).map(steady).collect())
    }

    /// The steady symbols of a segment, in order, without those that this
    /// segment has twice.
    fn order(&self, dense: &Dense, range: &Range<usize>) -> Vec<u32> {
        let mut order: Vec<u32> = Vec::new();
        let mut twice = Vec::new();
        for &symbol in &dense.symbols[range.clone()] {
            if !self.0[symbol as usize] {
                continue;
            }
            match order.contains(&symbol) {
                true => twice.push(symbol),
                false => order.push(symbol),
            }
        }
        order.retain(|symbol| !twice.contains(symbol));
        order
    }
}

/// The shorter of the sequences that hold both orders as subsequences; where
/// they contradict each other the first order stands.
fn merged(first: &[u32], second: &[u32]) -> Vec<u32> {
    let mut merged = first.to_vec();
    let mut at = 0;
    for &symbol in second {
        match merged.iter().position(|&known| known == symbol) {
            Some(place) if place >= at => at = place + 1,
            Some(_) => {}
            None => {
                merged.insert(at, symbol);
                at += 1;
            }
        }
    }
    merged
}

/// An occurrence of a core symbol.
#[derive(Debug, Clone, Copy)]
struct Element {
    at: usize,
    slot: usize,
}

/// The core occurrences of one layer: its first and last place, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub first: usize,
    pub last: usize,
    pub matched: usize,
}

/// The chain of core occurrences, and where its cyclic order may be opened.
pub(super) struct Openings {
    chain: Vec<Element>,
    size: usize,
    /// Slots, the likeliest first.
    slots: Vec<usize>,
}

impl Openings {
    pub fn new(dense: &Dense, core: &Core) -> Self {
        let chain = best_chain(&elements(dense, core), core);
        let size = core.size;
        // A sequence that begins inside a layer says nothing about where one
        // begins, but then it still says where one ends.
        let preferred = match (chain.first(), chain.last()) {
            (Some(first), Some(last)) if first.at == 0 => (last.slot + 1) % size,
            (Some(first), _) => first.slot,
            _ => 0,
        };
        let mut kinds = Vec::new();
        let mut against: Vec<(Against, usize)> = (0..size)
            .map(|shift| (preferred + shift) % size)
            .map(|open| (Against::opening(&chain, size, open, &mut kinds), open))
            .collect();
        against.sort_by(|(a, _), (b, _)| a.bits.total_cmp(&b.bits).then(a.span.cmp(&b.span)));
        Self {
            chain,
            size,
            slots: against.into_iter().map(|(_, open)| open).collect(),
        }
    }

    /// The layers' core occurrences, in order, opening by opening; where there
    /// are fewer than two layers, none.
    pub fn groups(&self) -> impl Iterator<Item = Vec<Group>> {
        self.slots
            .iter()
            .map(|&open| groups(&self.chain, self.size, open))
            .filter(|groups| groups.len() >= 2)
    }
}

fn elements(dense: &Dense, core: &Core) -> Vec<Element> {
    let element =
        |(at, symbol): (usize, &u32)| core.slot[*symbol as usize].map(|slot| Element { at, slot });
    dense
        .symbols
        .iter()
        .enumerate()
        .filter_map(element)
        .collect()
}

/// The chain with the most matched occurrences after costs; of equals the one
/// whose occurrences lie furthest apart.
fn best_chain(elements: &[Element], core: &Core) -> Vec<Element> {
    let mut score: Vec<f32> = Vec::with_capacity(elements.len());
    let mut before: Vec<Option<usize>> = Vec::with_capacity(elements.len());
    let mut highest = 0.0_f32;
    for (at, element) in elements.iter().enumerate() {
        let (mut best, mut from) = (0.0, None);
        for earlier in (at.saturating_sub(REACH)..at).rev() {
            let noise = at - earlier - 1;
            // Nothing further back can gain more.
            if highest - NOISE * (noise as f32) < best {
                break;
            }
            let missing = core.lacking[elements[earlier].slot * core.size + element.slot];
            let between = element.at - elements[earlier].at - 1 - noise;
            let gained = score[earlier]
                - MISSING * f32::from(missing)
                - NOISE * noise as f32
                - GAP * between as f32;
            if gained > 0.0 && gained >= best {
                (best, from) = (gained, Some(earlier));
            }
        }
        score.push(best + 1.0);
        highest = highest.max(best + 1.0);
        before.push(from);
    }
    let end = (0..elements.len()).max_by(|&a, &b| score[a].total_cmp(&score[b]));
    let mut chain: Vec<Element> = std::iter::successors(end, |&at| before[at])
        .map(|at| elements[at])
        .collect();
    chain.reverse();
    chain
}

/// What speaks against opening the cyclic order at a slot, the worst first.
#[derive(Debug, Clone, Copy)]
struct Against {
    /// Bits that it takes to say which layer has which core symbols: least
    /// where the layers are of few kinds and none is a stump.
    bits: f64,
    /// Kernels from the first layer to the last.
    span: usize,
}

/// Where an occurrence stands in a layer that begins at slot `open`.
fn place(element: &Element, size: usize, open: usize) -> usize {
    match element.slot.checked_sub(open) {
        Some(place) => place,
        None => element.slot + size - open,
    }
}

impl Against {
    /// `kinds` is room to work in.
    fn opening(chain: &[Element], size: usize, open: usize, kinds: &mut Vec<u64>) -> Self {
        kinds.clear();
        let least = LEAST_FILL * size as f64;
        // The group so far: its first place, last place and size.
        let mut group = (0, 0, 0_usize);
        let mut whole: Option<(usize, usize)> = None;
        let mut close = |(first, last, matched): (usize, usize, usize)| {
            if matched > 0 && matched as f64 >= least {
                whole = Some((whole.map_or(first, |(first, _)| first), last));
            }
        };
        let mut previous = usize::MAX;
        for element in chain {
            let here = place(element, size, open);
            match kinds.last_mut() {
                Some(kind) if here > previous => {
                    group = (group.0, element.at, group.2 + 1);
                    *kind = fold(*kind, here);
                }
                _ => {
                    close(group);
                    group = (element.at, element.at, 1);
                    kinds.push(fold(0, here));
                }
            }
            previous = here;
        }
        close(group);
        Self {
            bits: bits(kinds),
            span: whole.map_or(0, |(first, last)| last - first),
        }
    }
}

/// Groups a chain into layers that begin at slot `open`.
fn groups(chain: &[Element], size: usize, open: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut previous = None;
    for element in chain {
        let here = place(element, size, open);
        match groups.last_mut() {
            Some(group) if previous.is_some_and(|previous| here > previous) => {
                group.last = element.at;
                group.matched += 1;
            }
            _ => groups.push(Group {
                first: element.at,
                last: element.at,
                matched: 1,
            }),
        }
        previous = Some(here);
    }
    let full = |group: &Group| group.matched as f64 >= LEAST_FILL * size as f64;
    let kept: Range<usize> = match (groups.iter().position(full), groups.iter().rposition(full)) {
        (Some(first), Some(last)) => first..last + 1,
        _ => 0..0,
    };
    groups.truncate(kept.end);
    groups.drain(..kept.start);
    groups
}

/// Takes one more slot into the hash of a layer's slots (FNV-1a).
fn fold(hash: u64, slot: usize) -> u64 {
    (hash ^ 0xcbf2_9ce4_8422_2325 ^ slot as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The entropy of a list of kinds, times its length.
fn bits(kinds: &mut [u64]) -> f64 {
    kinds.sort_unstable();
    let total = kinds.len() as f64;
    kinds
        .chunk_by(|a, b| a == b)
        .map(|same| same.len() as f64 * (total / same.len() as f64).log2())
        .sum()
}
