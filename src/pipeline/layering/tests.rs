use std::collections::HashMap;

use super::*;
use crate::pipeline::synthetic::{families, mixes, with_noise};

/// Finds the layers of kernels given by name; a blind search knows no kernel.
fn search(kernels: &[String], blind: bool) -> Result<Layering, NoLayers> {
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
    find(&symbols, |symbol| !blind && mixing.contains(&symbol))
}

fn count(kernels: &[String], blind: bool) -> usize {
    search(kernels, blind).map_or(0, |found| found.longest().len())
}

#[test]
fn every_family_has_its_layers() {
    for family in families() {
        assert_eq!(
            count(&family.kernels, false),
            family.layers,
            "{}",
            family.name
        );
    }
}

#[test]
fn most_families_need_no_kernel_to_be_known() {
    // Where neighbours always differ, as dense and expert layers in turn do,
    // or share a kernel with half of a neighbour, only a known attention
    // kernel tells a layer from half of one.
    let needs_names = ["dense and moe in turn", "three linear and one full, dense"];
    for family in families() {
        if needs_names.contains(&family.name) {
            continue;
        }
        assert_eq!(
            count(&family.kernels, true),
            family.layers,
            "{}",
            family.name
        );
    }
}

/// As many kernels as 3% of the pass, inserted anywhere: 300 seeds a family.
#[test]
fn inserted_kernels_never_change_the_count() {
    const SEEDS: u64 = 300;
    let mut lost = Vec::new();
    for family in families() {
        for seed in 0..SEEDS {
            let noisy = with_noise(&family, 0.03, seed);
            let found = count(&noisy, false);
            if found != family.layers {
                lost.push((family.name, seed, found, family.layers));
            }
        }
    }
    assert!(lost.is_empty(), "{lost:?}");
}
