use std::collections::HashMap;

use super::*;
use crate::pipeline::parallel::in_parallel;
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

/// As many kernels as 3% of the pass, inserted anywhere: 300 seeds a family,
/// or as many as `NOISE_SEEDS` says.
#[test]
fn inserted_kernels_never_change_the_count() {
    let seeds: u64 = match std::env::var("NOISE_SEEDS") {
        Ok(seeds) => seeds.parse().unwrap(),
        Err(_) => 300,
    };
    let families = families();
    let lost: Vec<_> = in_parallel(&families, |family| {
        let found = (0..seeds).map(|seed| (seed, count(&with_noise(family, 0.03, seed), false)));
        let wrong = found.filter(|&(_, found)| found != family.layers);
        wrong
            .map(|(seed, found)| (family.name, seed, found, family.layers))
            .collect::<Vec<_>>()
    })
    .concat();
    assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
}
