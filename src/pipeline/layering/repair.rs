//! Layers that noise has split or joined, parsed again.

use std::ops::Range;

use hashbrown::HashMap;

use super::chain::Group;
use super::{Bag, Dense};

/// Windows this alike are of one kind.
const SAME: f64 = 0.9;
/// A window less like every kind than this is looked at again.
const ODD: f64 = 0.8;
/// Cost of each layer in a parse, in kernels inserted or missing.
const LAYER: u32 = 2;
/// A parse may leave this part of the odd windows' kernels without a place,
/// and this many kernels of every window.
const MISFIT: f64 = 0.4;
const MISFIT_EACH: f64 = 2.0;
/// Kinds of layers that a parse may use, and the kernels of all together.
const KINDS: usize = 8;
const LONGEST: usize = 2048;

/// The kernels from one layer's first core occurrence to the next layer's.
struct Kind<'d> {
    kernels: &'d [u32],
    /// How many of them reach up to the last core occurrence.
    core: usize,
}

/// Replaces groups that resemble no kind of layer by those of a better
/// parse, where there is one.
pub(super) fn repaired(dense: &Dense, groups: Vec<Group>) -> Vec<Group> {
    let mut bag = Bag::new(dense.distinct());
    let kinds = kinds(dense, &groups, &mut bag);
    let total: usize = kinds.iter().map(|kind| kind.kernels.len()).sum();
    if kinds.is_empty() || total > LONGEST {
        return groups;
    }
    let odd: Vec<bool> = (0..groups.len())
        .map(|at| resemblance(dense, &groups, at, &kinds, &mut bag) < ODD)
        .collect();
    let mut repaired: Vec<Group> = Vec::with_capacity(groups.len());
    let mut at = 0;
    while at < groups.len() {
        // A neighbour of an odd window may hold the rest of a split layer.
        let wide = at..(at + 1..groups.len())
            .find(|&next| !odd[next] && !odd[next - 1])
            .unwrap_or(groups.len());
        let better = match odd[wide.clone()].contains(&true) {
            true => parse(dense, &groups, wide.clone(), &odd, &kinds),
            false => None,
        };
        match better {
            Some(better) => repaired.extend(better),
            None => repaired.extend_from_slice(&groups[wide.clone()]),
        }
        at = wide.end;
    }
    repaired
}

/// The kinds that at least two windows are of, the most frequent first.
fn kinds<'d>(dense: &'d Dense, groups: &[Group], bag: &mut Bag) -> Vec<Kind<'d>> {
    let mut strings: HashMap<(&[u32], usize), usize> = HashMap::new();
    for pair in groups.windows(2) {
        let core = pair[0].last + 1 - pair[0].first;
        let window = &dense.symbols[pair[0].first..pair[1].first];
        *strings.entry((window, core)).or_insert(0) += 1;
    }
    let mut strings: Vec<((&[u32], usize), usize)> = strings.into_iter().collect();
    strings.sort_by(|a, b| (b.1, a.0.0.len(), a.0).cmp(&(a.1, b.0.0.len(), b.0)));
    let mut kinds: Vec<(Kind<'d>, usize)> = Vec::new();
    for ((window, core), count) in strings {
        let known = kinds
            .iter_mut()
            .find(|(kind, _)| alike(kind.kernels, window, bag) >= SAME);
        if let Some((_, total)) = known {
            *total += count;
        } else if kinds.len() < KINDS * 4 {
            let kernels = window;
            kinds.push((Kind { kernels, core }, count));
        }
    }
    kinds.retain(|&(_, count)| count >= 2);
    kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    kinds.truncate(KINDS);
    kinds.into_iter().map(|(kind, _)| kind).collect()
}

fn alike(a: &[u32], b: &[u32], bag: &mut Bag) -> f64 {
    if a == b {
        return 1.0;
    }
    2.0 * bag.shared(a, b) as f64 / (a.len() + b.len()).max(1) as f64
}

/// How much a window is like the kind that it is most like.
fn resemblance(
    dense: &Dense,
    groups: &[Group],
    at: usize,
    kinds: &[Kind<'_>],
    bag: &mut Bag,
) -> f64 {
    let group = &groups[at];
    let next = groups.get(at + 1);
    let end = next.map_or(group.last + 1, |next| next.first);
    let window = &dense.symbols[group.first..end];
    kinds
        .iter()
        .map(|kind| match next {
            Some(_) => alike(kind.kernels, window, bag),
            None => alike(&kind.kernels[..kind.core], window, bag),
        })
        .fold(0.0, f64::max)
}

/// How a state of the parse was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing leads here.
    Never,
    /// A layer begins after the layer of the given kind, or at the very start.
    Begin(u16),
    Equal,
    Inserted,
    Missing,
}

/// The states of a parse: for each kind, how many of its kernels are done.
struct Parse<'k, 'd> {
    kinds: &'k [Kind<'d>],
    /// First state of each kind.
    offset: Vec<usize>,
    states: usize,
    steps: Vec<Step>,
}

/// Reads the windows of some groups as layers of the known kinds, with the
/// fewest kernels inserted or missing; `None` when too few fit.
fn parse(
    dense: &Dense,
    groups: &[Group],
    range: Range<usize>,
    odd: &[bool],
    kinds: &[Kind<'_>],
) -> Option<Vec<Group>> {
    let from = groups.get(range.start)?.first;
    let open_end = range.end == groups.len();
    let to = match groups.get(range.end) {
        Some(next) => next.first,
        None => groups.last()?.last + 1,
    };
    let region = &dense.symbols[from..to];
    let mut parse = Parse::new(kinds);
    if (region.len() + 1).checked_mul(parse.states)? > 4_000_000 {
        return None;
    }
    let (cost, kind, done) = parse.run(region, open_end)?;
    let layers = parse.layers(region.len(), kind, done);
    let misfit = cost.saturating_sub(LAYER * layers.len() as u32);
    let window = |at: usize| {
        let end = groups.get(at + 1).map_or(to, |next| next.first);
        end - groups[at].first
    };
    let unclear: usize = range.clone().filter(|&at| odd[at]).map(window).sum();
    if f64::from(misfit) > MISFIT * unclear as f64 + MISFIT_EACH * range.len() as f64 {
        return None;
    }
    Some(
        layers
            .into_iter()
            .map(|layer| Group {
                first: from + layer.start,
                last: from + layer.end - 1,
                matched: layer.len(),
            })
            .collect(),
    )
}

impl<'k, 'd> Parse<'k, 'd> {
    fn new(kinds: &'k [Kind<'d>]) -> Self {
        let mut states = 0;
        let offset = kinds
            .iter()
            .map(|kind| {
                let first = states;
                states += kind.kernels.len() + 1;
                first
            })
            .collect();
        Self {
            kinds,
            offset,
            states,
            steps: Vec::new(),
        }
    }

    /// Finds the cheapest parse: its cost, and the kind of the last layer with
    /// how many of its kernels are done.
    fn run(&mut self, region: &[u32], open_end: bool) -> Option<(u32, usize, usize)> {
        const FAR: u32 = u32::MAX / 2;
        let mut cost = vec![FAR; self.states];
        let mut ended: Option<(u32, u16)> = Some((0, u16::MAX));
        for at in 0..=region.len() {
            let row = self.steps.len();
            self.steps.resize(row + self.states, Step::Never);
            let mut next = vec![FAR; self.states];
            if at > 0 {
                let symbol = region[at - 1];
                for (kind, &offset) in self.kinds.iter().zip(&self.offset) {
                    for done in 0..=kind.kernels.len() {
                        let state = offset + done;
                        let equal = done > 0 && kind.kernels[done - 1] == symbol;
                        let inserted = cost[state] + 1;
                        let (best, step) = match equal {
                            true if cost[state - 1] <= inserted => (cost[state - 1], Step::Equal),
                            _ => (inserted, Step::Inserted),
                        };
                        if best < FAR {
                            next[state] = best;
                            self.steps[row + state] = step;
                        }
                    }
                }
                self.sweep(&mut next, row);
                ended = self.ended(&next);
            }
            if let Some((before, kind)) = ended.filter(|_| at < region.len()) {
                for &offset in &self.offset {
                    if before + LAYER < next[offset] {
                        next[offset] = before + LAYER;
                        self.steps[row + offset] = Step::Begin(kind);
                    }
                }
                self.sweep(&mut next, row);
            }
            cost = next;
        }
        let finish = |kind: usize| {
            let whole = self.kinds[kind].kernels.len();
            let least = if open_end {
                self.kinds[kind].core
            } else {
                whole
            };
            least..=whole
        };
        (0..self.kinds.len())
            .flat_map(|kind| finish(kind).map(move |done| (kind, done)))
            .map(|(kind, done)| (cost[self.offset[kind] + done], kind, done))
            .min()
            .filter(|&(cost, ..)| cost < FAR)
    }

    /// Lets kernels of a kind be missing.
    fn sweep(&mut self, cost: &mut [u32], row: usize) {
        for (kind, &offset) in self.kinds.iter().zip(&self.offset) {
            for state in offset + 1..=offset + kind.kernels.len() {
                if cost[state - 1] + 1 < cost[state] {
                    cost[state] = cost[state - 1] + 1;
                    self.steps[row + state] = Step::Missing;
                }
            }
        }
    }

    fn ended(&self, cost: &[u32]) -> Option<(u32, u16)> {
        (0..self.kinds.len())
            .map(|kind| {
                (
                    cost[self.offset[kind] + self.kinds[kind].kernels.len()],
                    kind as u16,
                )
            })
            .min()
    }

    /// Walks back over the steps: the stretch of each layer from its first
    /// equal kernel to its last core one.
    fn layers(&self, length: usize, kind: usize, done: usize) -> Vec<Range<usize>> {
        let (mut at, mut kind, mut done) = (length, kind, done);
        let mut layers = Vec::new();
        let mut layer: Option<Range<usize>> = None;
        loop {
            match self.steps[at * self.states + self.offset[kind] + done] {
                Step::Equal => {
                    if let Some(layer) = &mut layer {
                        layer.start = at - 1;
                    } else if done <= self.kinds[kind].core {
                        layer = Some(at - 1..at);
                    }
                    at -= 1;
                    done -= 1;
                }
                Step::Inserted => at -= 1,
                Step::Missing => done -= 1,
                Step::Begin(before) => {
                    layers.extend(layer.take());
                    if before == u16::MAX {
                        break;
                    }
                    kind = before as usize;
                    done = self.kinds[kind].kernels.len();
                }
                Step::Never => break,
            }
        }
        layers.reverse();
        layers
    }
}
