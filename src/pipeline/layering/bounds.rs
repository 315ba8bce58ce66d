//! Where each layer begins and ends.

use std::ops::Range;

use hashbrown::HashMap;

use super::chain::{Core, Group};
use super::{Dense, Layering};

/// This many foreign kernels between two layers, and this many without
/// another kernel between, part them: the one is the last of its model, the
/// other the first of another forward pass.
const PARTING: usize = 4;
const PARTING_STRETCH: usize = 3;
/// Layer tails that are tried on the last layer, the most frequent first.
const TAILS: usize = 16;

/// Widens the groups to layers.
pub(super) fn layering(dense: &Dense, core: &Core, groups: &[Group]) -> Option<Layering> {
    let runs = runs(dense, groups);
    let head = head(dense, groups, &runs);
    let mut layers: Vec<Vec<Range<usize>>> = Vec::new();
    let mut from = 0;
    for run in &runs {
        let mut starts: Vec<usize> = Vec::with_capacity(run.len());
        for at in run.clone() {
            let least = match at.checked_sub(1) {
                Some(before) if at > run.start => groups[before].last + 1,
                _ => from,
            };
            starts.push(start(dense, groups[at].first, least, &head));
        }
        let next = groups.get(run.end).map_or(dense.len(), |group| group.first);
        let tails = tails(dense, &groups[run.clone()], &starts);
        let end = end(dense, groups[run.end - 1].last + 1, next, &tails);
        from = end;
        let ends = starts.iter().skip(1).copied().chain([end]);
        layers.push(
            starts
                .iter()
                .zip(ends)
                .map(|(&start, end)| start..end)
                .collect(),
        );
    }
    let covered: usize = layers.iter().flatten().map(ExactSizeIterator::len).sum();
    let matched: usize = groups.iter().map(|group| group.matched).sum();
    let share = |whole: usize| (matched as f64 / whole.max(1) as f64).min(1.0);
    let layering = Layering {
        runs: layers,
        regularity: share(groups.len() * core.size),
        core_share: share(covered),
    };
    (layering.longest().len() >= 2).then_some(layering)
}

/// Splits the groups where kernels that no layer has come between two.
fn runs(dense: &Dense, groups: &[Group]) -> Vec<Range<usize>> {
    let windows: Vec<Range<usize>> = groups
        .windows(2)
        .map(|pair| pair[0].first..pair[1].first)
        .collect();
    let mut seen_in = vec![0_usize; dense.distinct()];
    let mut last_seen = vec![usize::MAX; dense.distinct()];
    for (at, window) in windows.iter().enumerate() {
        for &symbol in &dense.symbols[window.clone()] {
            if std::mem::replace(&mut last_seen[symbol as usize], at) != at {
                seen_in[symbol as usize] += 1;
            }
        }
    }
    let mut lengths: Vec<usize> = windows.iter().map(ExactSizeIterator::len).collect();
    lengths.sort_unstable();
    let usual = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    let outside = outside(dense, groups, usual);
    let foreign = |symbol: u32| {
        let seen = seen_in[symbol as usize];
        seen <= 1 || outside[symbol as usize] && 4 * seen <= groups.len()
    };
    let mut runs = Vec::new();
    let mut from = 0;
    for (at, window) in windows.iter().enumerate() {
        let (mut total, mut stretch, mut longest) = (0, 0, 0);
        for &symbol in &dense.symbols[window.clone()] {
            stretch = if foreign(symbol) { stretch + 1 } else { 0 };
            total += usize::from(stretch > 0);
            longest = longest.max(stretch);
        }
        let parts = total >= PARTING && longest >= PARTING_STRETCH;
        if parts && window.len() >= usual + PARTING {
            runs.push(from..at + 1);
            from = at + 1;
        }
    }
    runs.push(from..groups.len());
    runs
}

/// Which symbols occur before the first layer or after the last.
fn outside(dense: &Dense, groups: &[Group], usual: usize) -> Vec<bool> {
    let mut outside = vec![false; dense.distinct()];
    let first = groups.first().map_or(0, |group| group.first);
    let last = groups.last().map_or(0, |group| group.first + usual);
    let after = dense.symbols.iter().skip(last);
    for &symbol in dense.symbols[..first].iter().chain(after) {
        outside[symbol as usize] = true;
    }
    outside
}

/// The kernels that come before the first core occurrence of a layer and
/// belong to it: those before the first layer's that also come before most
/// others', nearest last.
fn head(dense: &Dense, groups: &[Group], runs: &[Range<usize>]) -> Vec<u32> {
    let Some(run) = runs.iter().max_by_key(|run| run.len()) else {
        return Vec::new();
    };
    let first = groups[run.start].first;
    let least = match run.start.checked_sub(1) {
        Some(before) => groups[before].last + 1,
        None => 0,
    };
    let mut head = Vec::new();
    while let Some(at) = first.checked_sub(head.len() + 1).filter(|&at| at >= least) {
        let back = head.len() + 1;
        let inner = run.start + 1..run.end;
        let total = inner.len();
        let agreeing = inner
            .filter(|&layer| {
                let place = groups[layer].first.checked_sub(back);
                place.is_some_and(|place| {
                    place > groups[layer - 1].last && dense.symbols[place] == dense.symbols[at]
                })
            })
            .count();
        if 2 * agreeing <= total {
            break;
        }
        head.push(dense.symbols[at]);
    }
    head.reverse();
    head
}

/// Walks back over the head from the first core occurrence; a few kernels
/// that are not of the head may lie between.
fn start(dense: &Dense, first: usize, least: usize, head: &[u32]) -> usize {
    let mut start = first;
    let mut rest = head;
    let reach = first.saturating_sub(head.len() + 2).max(least);
    for at in (reach..first).rev() {
        let Some((&wanted, before)) = rest.split_last() else {
            break;
        };
        if dense.symbols[at] == wanted {
            start = at;
            rest = before;
        }
    }
    start
}

/// What follows the last core occurrence in the layers of a run.
fn tails<'d>(dense: &'d Dense, groups: &[Group], starts: &[usize]) -> Vec<&'d [u32]> {
    let mut counts: HashMap<&[u32], usize> = HashMap::new();
    for (group, &next) in groups.iter().zip(starts.iter().skip(1)) {
        *counts
            .entry(&dense.symbols[group.last + 1..next])
            .or_insert(0) += 1;
    }
    let mut tails: Vec<(&[u32], usize)> = counts.into_iter().collect();
    tails.sort_by_key(|&(tail, count)| (std::cmp::Reverse(count), tail));
    tails
        .into_iter()
        .take(TAILS)
        .map(|(tail, _)| tail)
        .collect()
}

/// The end of the last layer: as far as what follows its last core occurrence
/// reads like the tail of another layer.
fn end(dense: &Dense, from: usize, to: usize, tails: &[&[u32]]) -> usize {
    let ahead = &dense.symbols[from.min(to)..to];
    tails
        .iter()
        .map(|tail| agreement(tail, ahead))
        .max_by_key(|&(score, length)| (score, std::cmp::Reverse(length)))
        .filter(|&(score, _)| score > 0)
        .map_or(from, |(_, length)| from + length)
}

/// Aligns a whole tail with a beginning of what lies ahead: 2 for an equal
/// kernel, -1 for one that only one side has. The best score, and how far
/// ahead its last equal kernel lies.
fn agreement(tail: &[u32], ahead: &[u32]) -> (i32, usize) {
    let width = ahead.len().min(2 * tail.len() + 4);
    let ahead = &ahead[..width];
    // Score and reach of the best alignment of the tail so far with each
    // beginning of `ahead`.
    let mut row: Vec<(i32, usize)> = (0..=width).map(|skipped| (-(skipped as i32), 0)).collect();
    for (count, &wanted) in tail.iter().enumerate() {
        let mut next = vec![(-(count as i32) - 1, 0)];
        for at in 1..=width {
            let equal = ahead[at - 1] == wanted;
            let matched = (row[at - 1].0 + 2, at);
            let lacking = (row[at].0 - 1, row[at].1);
            let extra = (next[at - 1].0 - 1, next[at - 1].1);
            let mut best = lacking.max(extra);
            if equal && matched.0 >= best.0 {
                best = matched;
            }
            next.push(best);
        }
        row = next;
    }
    row.into_iter()
        .max_by_key(|&(score, reach)| (score, std::cmp::Reverse(reach)))
        .unwrap_or((0, 0))
}
