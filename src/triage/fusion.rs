//! Which known fusions a stage uses, misses or uses in part.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::kernel::{Kernel, KernelId, Kernels};
use super::loaded::Loaded;
use super::record::{FusionEvidence, FusionRow, FusionStatus};
use super::units::{microseconds, percent, rounded};
use crate::references::Catalogue;
use crate::trace::Step;

/// Kernels shown for a fusion.
const MOST_EVIDENCE: usize = 6;
/// A separate form is shown from this share of the stage, percent, ...
const LEAST_SHARE_PCT: f64 = 0.1;
/// ... or from so many times a step.
const LEAST_PER_STEP: f64 = 4.0;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pattern: Vec<Pattern>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    name: String,
    fuses: String,
    available_in: String,
    /// Repository and file.
    source: String,
    /// A name that stands in that file.
    symbol: String,
    /// The merged kernel's name in a trace, where it has one of its own.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold `fused` against it"))]
    kernel: Option<String>,
    requires: Option<String>,
    #[serde(default)]
    fused: Vec<String>,
    #[serde(default)]
    fused_chain: Vec<Vec<String>>,
    /// Places of the chain whose time the fusion takes away; all when empty.
    #[serde(default)]
    saves: Vec<usize>,
    chain: Vec<Vec<String>>,
}

pub(super) static PATTERNS: Catalogue<Table> = Catalogue::new(
    "fusion-patterns.toml",
    include_str!("../../references/fusion-patterns.toml"),
);

/// Words that mark a kernel as the end of the GEMM before it.
const FINISHES_GEMM: [&str; 2] = ["splitkreduce", "splitk_reduce"];

/// A chain with each place decided for every kernel of the analysis.
struct Chain {
    places: Vec<Vec<bool>>,
    /// Whether it names the reductions of split GEMMs itself.
    keeps_reductions: bool,
}

impl Chain {
    fn new(places: &[Vec<String>], merged: &[bool], kernels: &Kernels) -> Self {
        let keeps_reductions = places
            .iter()
            .flatten()
            .any(|word| FINISHES_GEMM.contains(&word.as_str()));
        let places = places
            .iter()
            .map(|words| {
                kernels
                    .iter()
                    .zip(merged)
                    .map(|(kernel, &merged)| !merged && is_one_of(kernel, words))
                    .collect()
            })
            .collect();
        Self {
            places,
            keeps_reductions,
        }
    }

    /// Calls back with the rows of each place where the chain occurs.
    fn scan(&self, stream: &Stream, mut found: impl FnMut(&[usize])) {
        let (kernels, rows) = if self.keeps_reductions {
            (&stream.all, &stream.all_rows)
        } else {
            (&stream.whole, &stream.whole_rows)
        };
        let length = self.places.len();
        if length == 0 {
            return;
        }
        let mut at = 0;
        while at + length <= kernels.len() {
            let fits = self
                .places
                .iter()
                .zip(&kernels[at..])
                .all(|(place, kernel)| place.get(kernel.index()).copied().unwrap_or(false));
            if fits {
                found(&rows[at..at + length]);
                at += length;
            } else {
                at += 1;
            }
        }
    }
}

fn is_one_of(kernel: &Kernel, words: &[String]) -> bool {
    words.iter().any(|word| match word.strip_prefix('@') {
        Some(category) => kernel.category.as_str() == category,
        None => kernel.lowercase.contains(word.as_str()),
    })
}

/// The kernels of one step on one stream, in order.
#[derive(Default)]
struct Stream {
    all: Vec<KernelId>,
    all_rows: Vec<usize>,
    /// Without the reductions that finish a split GEMM.
    whole: Vec<KernelId>,
    whole_rows: Vec<usize>,
}

/// Streams of a stage's steps.
pub(super) struct Sequences {
    streams: Vec<Stream>,
}

impl Sequences {
    pub fn new(loaded: &Loaded, kernels: &Kernels, steps: &[&Step]) -> Self {
        let finishes: Vec<bool> = kernels
            .iter()
            .map(|kernel| {
                FINISHES_GEMM
                    .iter()
                    .any(|word| kernel.lowercase.contains(word))
            })
            .collect();
        let mut streams = Vec::new();
        for step in steps {
            let mut by_track: BTreeMap<(u32, u32), Stream> = BTreeMap::new();
            for row in loaded.steps.kernels(&loaded.trace, step) {
                let stream = by_track.entry(loaded.trace.gpu.track(row)).or_default();
                let kernel = loaded.kernel(row);
                stream.all.push(kernel);
                stream.all_rows.push(row);
                if !finishes.get(kernel.index()).copied().unwrap_or(false) {
                    stream.whole.push(kernel);
                    stream.whole_rows.push(row);
                }
            }
            streams.extend(by_track.into_values());
        }
        Self { streams }
    }
}

/// The catalogue's entries that show in a stage, missing ones with most time first.
pub(super) fn fusion_table(
    loaded: &Loaded,
    kernels: &Kernels,
    sequences: &Sequences,
    steps: u32,
    total_ns: i64,
) -> Vec<FusionRow> {
    let mut table: Vec<FusionRow> = PATTERNS
        .table()
        .pattern
        .iter()
        .filter_map(|pattern| {
            let tally = Tally::new(pattern, loaded, kernels, sequences);
            tally.row(pattern, kernels, f64::from(steps.max(1)), total_ns)
        })
        .collect();
    table.sort_by(|a, b| {
        a.status
            .cmp(&b.status)
            .then(b.separate_us.total_cmp(&a.separate_us))
            .then(a.pattern.cmp(&b.pattern))
    });
    table
}

#[derive(Default)]
struct Tally {
    separate: u32,
    separate_ns: i64,
    fused: u32,
    evidence: HashMap<KernelId, (u32, i64)>,
}

impl Tally {
    fn new(pattern: &Pattern, loaded: &Loaded, kernels: &Kernels, sequences: &Sequences) -> Self {
        let merged: Vec<bool> = kernels
            .iter()
            .map(|kernel| {
                pattern
                    .fused
                    .iter()
                    .any(|word| kernel.lowercase.contains(word.as_str()))
            })
            .collect();
        let chain = Chain::new(&pattern.chain, &merged, kernels);
        let fused_chain = Chain::new(&pattern.fused_chain, &merged, kernels);
        let mut tally = Self::default();
        for stream in &sequences.streams {
            chain.scan(stream, |rows| {
                tally.separate += 1;
                tally.note(loaded, rows);
                for (place, &row) in rows.iter().enumerate() {
                    if pattern.saves.is_empty() || pattern.saves.contains(&place) {
                        tally.separate_ns += loaded.trace.gpu.dur_ns[row];
                    }
                }
            });
            if tally.separate == 0 {
                fused_chain.scan(stream, |rows| {
                    tally.fused += 1;
                    tally.note(loaded, rows);
                });
            }
            for (&kernel, &row) in stream.all.iter().zip(&stream.all_rows) {
                if merged.get(kernel.index()).copied().unwrap_or(false) {
                    tally.fused += 1;
                    tally.note(loaded, &[row]);
                }
            }
        }
        tally
    }

    fn note(&mut self, loaded: &Loaded, rows: &[usize]) {
        for &row in rows {
            let held = self.evidence.entry(loaded.kernel(row)).or_default();
            held.0 += 1;
            held.1 += loaded.trace.gpu.dur_ns[row];
        }
    }

    fn row(
        self,
        pattern: &Pattern,
        kernels: &Kernels,
        steps: f64,
        total_ns: i64,
    ) -> Option<FusionRow> {
        let share_pct = percent(self.separate_ns as f64, total_ns as f64);
        let separate_per_step = f64::from(self.separate) / steps;
        let separate = share_pct >= LEAST_SHARE_PCT || separate_per_step >= LEAST_PER_STEP;
        let status = match (separate, self.fused > 0) {
            (true, false) => FusionStatus::Missing,
            (true, true) => FusionStatus::Partial,
            (false, true) => FusionStatus::Active,
            (false, false) => return None,
        };
        let mut held: Vec<_> = self.evidence.into_iter().collect();
        held.sort_by_key(|&(kernel, (_, ns))| (std::cmp::Reverse(ns), kernel));
        let evidence = held
            .into_iter()
            .take(MOST_EVIDENCE)
            .filter_map(|(kernel, (launches, ns))| {
                Some(FusionEvidence {
                    kernel: kernels.get(kernel)?.short.clone(),
                    launches,
                    gpu_time_us: microseconds(ns),
                })
            })
            .collect();
        Some(FusionRow {
            pattern: pattern.name.clone(),
            status,
            fuses: pattern.fuses.clone(),
            available_in: pattern.available_in.clone(),
            source: format!("{} {}", pattern.source, pattern.symbol),
            separate_per_step: rounded(separate_per_step, 2),
            fused_per_step: rounded(f64::from(self.fused) / steps, 2),
            separate_us: microseconds(self.separate_ns),
            share_pct: rounded(share_pct, 2),
            requires: pattern.requires.clone(),
            evidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::KernelCategory;

    #[test]
    fn the_catalogue_is_whole() {
        let catalogue = PATTERNS.table();
        assert!(catalogue.pattern.len() >= 40);
        let names: std::collections::HashSet<_> = catalogue
            .pattern
            .iter()
            .map(|pattern| &pattern.name)
            .collect();
        assert_eq!(names.len(), catalogue.pattern.len());
        for pattern in &catalogue.pattern {
            assert!(pattern.chain.len() >= 2, "{}", pattern.name);
            assert!(
                pattern
                    .saves
                    .iter()
                    .all(|&place| place < pattern.chain.len())
            );
            let places = pattern.chain.iter().chain(&pattern.fused_chain).flatten();
            for word in places.chain(&pattern.fused) {
                if let Some(category) = word.strip_prefix('@') {
                    serde_json::from_value::<KernelCategory>(category.into()).unwrap();
                }
                assert_eq!(word, &word.to_lowercase());
            }
        }
    }

    #[test]
    fn every_source_is_a_file_and_every_merged_kernel_is_recognised() {
        let source = regex::Regex::new(r"^[\w-]+/[\w-]+: [\w/-]+(\.\w+)+$").unwrap();
        let symbol = regex::Regex::new(r"^\w+$").unwrap();
        for pattern in &PATTERNS.table().pattern {
            let name = &pattern.name;
            assert!(
                source.is_match(&pattern.source),
                "{name}: {}",
                pattern.source
            );
            assert!(
                symbol.is_match(&pattern.symbol),
                "{name}: {}",
                pattern.symbol
            );
            let Some(kernel) = &pattern.kernel else {
                continue;
            };
            let kernel = kernel.to_lowercase();
            let own = pattern.fused.iter().any(|word| kernel.contains(word));
            assert!(own, "{name}: {kernel}");
        }
    }

    #[test]
    fn kernels_of_the_plain_form_are_no_merged_ones() {
        let named = |kernel: &str| -> Vec<&str> {
            let kernel = kernel.to_lowercase();
            let patterns = PATTERNS.table().pattern.iter();
            patterns
                .filter(|pattern| {
                    pattern
                        .fused
                        .iter()
                        .any(|word| kernel.contains(word.as_str()))
                })
                .map(|pattern| pattern.name.as_str())
                .collect()
        };
        assert_eq!(
            named(
                "void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16, __nv_bfloat16, (vllm::Fp8KVCacheDataType)0>"
            ),
            [""; 0]
        );
        assert_eq!(
            named("void vllm::act_and_mul_kernel<c10::BFloat16, &(vllm::silu_kernel)>"),
            ["SiLU and multiply"]
        );
        assert_eq!(
            named("void deep_ep::internode_ll::dispatch<false, false, 7168>"),
            [""; 0]
        );
    }
}
