//! Which layers are of one type.
//!
//! Layers of one type differ too: the first has another norm before it, noise
//! adds a kernel. What tells types apart is a difference that many kernels
//! share: some are only in these layers, others only in those. So the layers
//! are described by which of them have which kernel, and a division of the
//! layers counts when kernels agree on it.

use std::collections::HashMap;

use super::layering::Symbol;

/// Kernels that must agree on a division where they do not show both sides.
const AGREEING: usize = 2;
/// A type of less than one in so many layers needs this many kernels that
/// agree on it.
const RARE: usize = 8;
const RARE_AGREEING: usize = 4;
/// Cycles that a single kernel's presence must keep up to be a division.
const CYCLES: usize = 3;
/// Divisions that differ in no more than one of so many layers are one.
const BLURRED: usize = 12;
/// A type of one layer must be less like the others than this.
const LONE: f64 = 0.75;

/// Which layers have a kernel (a given number of times); `true` is the side
/// of the first layer.
type Division = Vec<bool>;

/// The type of each layer, numbered in order of first appearance.
pub(super) fn types(layers: &[Vec<Symbol>]) -> Vec<usize> {
    let accepted: Vec<Division> = divisions(layers)
        .into_iter()
        .filter(|(division, votes)| accepts(division, *votes, layers))
        .map(|(division, _)| division)
        .collect();
    let keys: Vec<Vec<bool>> = (0..layers.len())
        .map(|layer| accepted.iter().map(|division| division[layer]).collect())
        .collect();
    let types = numbered(&keys);
    numbered(&without_lone(types, layers))
}

/// The divisions that kernels make, each with how many kernels are only on
/// the far side and only on the first layer's side; those that noise has made
/// a little different are counted as one.
fn divisions(layers: &[Vec<Symbol>]) -> Vec<(Division, [usize; 2])> {
    let mut exact: HashMap<Division, [usize; 2]> = HashMap::new();
    for presence in presences(layers) {
        let present_first = presence[0];
        let division: Division = presence.iter().map(|&has| has == present_first).collect();
        exact.entry(division).or_default()[usize::from(present_first)] += 1;
    }
    let mut exact: Vec<(Division, [usize; 2])> = exact.into_iter().collect();
    exact.sort_by(|a, b| (b.1[0] + b.1[1], &b.0).cmp(&(a.1[0] + a.1[1], &a.0)));
    let mut divisions: Vec<(Division, [usize; 2])> = Vec::new();
    for (division, votes) in exact {
        let close = divisions.iter_mut().find(|(known, _)| {
            let apart = known.iter().zip(&division).filter(|(a, b)| a != b).count();
            apart <= layers.len() / BLURRED && smaller(known) > 1 && smaller(&division) > 1
        });
        match close {
            Some((_, total)) => {
                total[0] += votes[0];
                total[1] += votes[1];
            }
            None => divisions.push((division, votes)),
        }
    }
    divisions
}

/// How many layers the smaller side has.
fn smaller(division: &Division) -> usize {
    let first = division.iter().filter(|&&side| side).count();
    first.min(division.len() - first)
}

/// For each kernel that some but not all layers have, which ones do; a kernel
/// that occurs twice in a layer counts as two.
fn presences(layers: &[Vec<Symbol>]) -> Vec<Vec<bool>> {
    let mut features: HashMap<(Symbol, u32), Vec<bool>> = HashMap::new();
    for (layer, symbols) in layers.iter().enumerate() {
        let mut seen: HashMap<Symbol, u32> = HashMap::new();
        for &symbol in symbols {
            let count = seen.entry(symbol).or_insert(0);
            *count += 1;
            features
                .entry((symbol, *count))
                .or_insert_with(|| vec![false; layers.len()])[layer] = true;
        }
    }
    let mut presences: Vec<Vec<bool>> = features.into_values().collect();
    presences.retain(|presence| presence.contains(&false));
    presences
}

/// Whether a division, with so many kernels on either side, is one of types.
fn accepts(division: &Division, votes: [usize; 2], layers: &[Vec<Symbol>]) -> bool {
    let both = votes[0] > 0 && votes[1] > 0;
    let total = votes[0] + votes[1];
    if smaller(division) == 1 {
        let Some(alone) = position_alone(division) else {
            return false;
        };
        return both && total > AGREEING && unlike_others(alone, layers);
    }
    if both {
        let few = RARE * smaller(division) < division.len();
        return !few || total >= RARE_AGREEING;
    }
    structured(division) && (total >= AGREEING || cyclic(division))
}

fn position_alone(division: &Division) -> Option<usize> {
    let first = division.iter().filter(|&&side| side).count();
    division.iter().position(|&side| side == (first == 1))
}

/// Whether a layer is less like its neighbours than two of one type are.
fn unlike_others(layer: usize, layers: &[Vec<Symbol>]) -> bool {
    let neighbours = [layer.checked_sub(1), Some(layer + 1)];
    neighbours
        .into_iter()
        .flatten()
        .filter_map(|other| layers.get(other))
        .all(|other| likeness(&layers[layer], other) < LONE)
}

/// Sørensen–Dice coefficient of two layers' kernels.
fn likeness(a: &[Symbol], b: &[Symbol]) -> f64 {
    let mut counts: HashMap<Symbol, i64> = HashMap::new();
    for &symbol in a {
        *counts.entry(symbol).or_insert(0) += 1;
    }
    let mut shared = 0;
    for symbol in b {
        if let Some(count) = counts.get_mut(symbol).filter(|count| **count > 0) {
            *count -= 1;
            shared += 2;
        }
    }
    f64::from(shared) / (a.len() + b.len()).max(1) as f64
}

/// Whether a division is a block at one end, or repeats in cycles.
fn structured(division: &Division) -> bool {
    let changes = division
        .windows(2)
        .filter(|pair| pair[0] != pair[1])
        .count();
    changes == 1 || cyclic(division)
}

fn cyclic(division: &Division) -> bool {
    (2..=division.len() / CYCLES).any(|cycle| {
        division
            .iter()
            .zip(division.iter().skip(cycle))
            .all(|(now, later)| now == later)
    })
}

/// Gives a type of one layer that resembles another type to that one.
fn without_lone(mut types: Vec<usize>, layers: &[Vec<Symbol>]) -> Vec<usize> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for &kind in &types {
        *counts.entry(kind).or_insert(0) += 1;
    }
    for layer in 0..layers.len() {
        if counts[&types[layer]] > 1 {
            continue;
        }
        let nearest = (0..layers.len())
            .filter(|&other| counts[&types[other]] > 1)
            .map(|other| (likeness(&layers[layer], &layers[other]), other))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((like, other)) = nearest
            && like >= LONE
        {
            types[layer] = types[other];
        }
    }
    types
}

/// Numbers keys in order of first appearance.
fn numbered<K: std::hash::Hash + Eq>(keys: &[K]) -> Vec<usize> {
    let mut known = HashMap::new();
    keys.iter()
        .map(|key| {
            let next = known.len();
            *known.entry(key).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::layering;
    use crate::pipeline::synthetic::{Family, families, mixes, with_noise};

    /// Types of the layers that are found among kernels, as a string.
    fn typed(kernels: &[String]) -> String {
        let mut ids = HashMap::new();
        let symbols: Vec<Symbol> = kernels
            .iter()
            .map(|kernel| {
                let next = ids.len() as Symbol;
                *ids.entry(kernel.as_str()).or_insert(next)
            })
            .collect();
        let mixing: Vec<Symbol> = ids
            .iter()
            .filter(|(kernel, _)| mixes(kernel))
            .map(|(_, &id)| id)
            .collect();
        let found = layering::find(&symbols, |symbol| mixing.contains(&symbol)).unwrap();
        let layers: Vec<Vec<Symbol>> = found
            .longest()
            .iter()
            .map(|range| symbols[range.clone()].to_vec())
            .collect();
        letters(&types(&layers))
    }

    fn letters(types: &[usize]) -> String {
        types
            .iter()
            .map(|&kind| (b'a' + kind as u8) as char)
            .collect()
    }

    fn expected(family: &Family) -> String {
        letters(&numbered(&family.types.chars().collect::<Vec<_>>()))
    }

    #[test]
    fn every_family_has_its_types() {
        for family in families() {
            assert_eq!(typed(&family.kernels), expected(&family), "{}", family.name);
        }
    }

    #[test]
    fn inserted_kernels_seldom_make_types() {
        // A type that a single kernel tells, or that few layers have, can
        // drown in noise.
        let faint = [
            "three with rope and one without",
            "seven linear and one full",
        ];
        let kinds = |types: &str| types.chars().max();
        let seeds = 0..20;
        for family in families() {
            if faint.contains(&family.name) {
                continue;
            }
            let expected = kinds(&expected(&family));
            let as_expected = seeds
                .clone()
                .filter(|&seed| kinds(&typed(&with_noise(&family, 0.03, seed))) == expected)
                .count();
            assert!(as_expected >= 16, "{}: {as_expected} of 20", family.name);
        }
    }
}
