//! The source site of every kernel, and how it was found.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::align::align;
use super::frame::known_source;
use super::kernel::{KernelId, Kernels};
use super::loaded::{FULL_REPLAY_KERNELS, Loaded};
use super::site::{Resolver, Site, SiteId, Sites};
use crate::trace::{KernelCategory, Stage};

/// How the source site of a kernel was found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SiteMethod {
    /// The Python frames around its own launch.
    Launch,
    /// It ran in a graph replay; an eager pass of the same file has it at the
    /// same place in its order.
    ReplayOrderSameFile,
    /// The same, with an eager pass of the mapping trace.
    ReplayOrderMapping,
    /// The same, with a trace taken while the graph was captured.
    ReplayOrderCapture,
    /// Elsewhere a kernel of this name was launched from there.
    SameName,
    /// This engine is known to launch kernels of this name from there.
    KnownSource,
}

/// How far to believe a site.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Seen, or matched by name and order.
    High,
    /// Matched by kind and order, or by a name that has one site.
    Medium,
    /// A guess that only narrows the search.
    Low,
}

/// The site of one GPU row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribution {
    pub site: SiteId,
    pub method: SiteMethod,
    pub confidence: Confidence,
}

/// An eager pass whose kernels have sites.
struct Reference {
    method: SiteMethod,
    stage: Stage,
    batch: Option<u32>,
    kernels: Vec<KernelId>,
    sites: Vec<Option<SiteId>>,
}

/// Eager passes from which replayed kernels get their sites, and the sites
/// of eager kernels by name.
#[derive(Default)]
pub(super) struct References {
    passes: Vec<Reference>,
    by_name: HashMap<KernelId, HashMap<SiteId, u32>>,
}

/// Passes kept of each kind; more bring nothing new.
const PASSES_OF_A_KIND: usize = 3;
/// Different step sequences that are aligned; the rest go by name.
const MOST_ALIGNED: usize = 48;

impl References {
    /// Adds a trace's eager passes; `method` says what the trace is.
    pub fn add(&mut self, loaded: &Loaded, eager: &[Option<SiteId>], method: SiteMethod) {
        for (row, site) in eager.iter().enumerate() {
            if let (true, Some(site)) = (loaded.is_kernel(row), site) {
                let sites = self.by_name.entry(loaded.kernel(row)).or_default();
                *sites.entry(*site).or_default() += 1;
            }
        }
        for step in &loaded.steps.steps {
            let rows: Vec<usize> = loaded.steps.kernels(&loaded.trace, step).collect();
            let sited = rows.iter().filter(|&&row| eager[row].is_some()).count();
            if rows.is_empty() || sited * 2 < rows.len() {
                continue;
            }
            let alike = self
                .passes
                .iter()
                .filter(|pass| pass.method == method && pass.stage == step.stage)
                .filter(|pass| pass.batch == step.shape.batch)
                .count();
            if alike >= PASSES_OF_A_KIND {
                continue;
            }
            self.passes.push(Reference {
                method,
                stage: step.stage,
                batch: step.shape.batch,
                kernels: rows.iter().map(|&row| loaded.kernel(row)).collect(),
                sites: rows.iter().map(|&row| eager[row]).collect(),
            });
        }
    }

    /// The most frequent site of kernels of a name.
    fn by_name(&self, kernel: KernelId) -> Option<Attribution> {
        let sites = self.by_name.get(&kernel)?;
        let (&site, _) = sites
            .iter()
            .max_by_key(|&(&site, &count)| (count, std::cmp::Reverse(site)))?;
        Some(Attribution {
            site,
            method: SiteMethod::SameName,
            confidence: match sites.len() {
                1 => Confidence::Medium,
                _ => Confidence::Low,
            },
        })
    }
}

/// The sites of a trace's eagerly launched kernels by the frames at their launch.
pub(super) fn eager_sites(loaded: &Loaded, sites: &mut Sites) -> Vec<Option<SiteId>> {
    let mut resolver = Resolver::new(&loaded.trace);
    (0..loaded.trace.gpu.len())
        .map(|row| {
            let launch = loaded.trace.gpu.launch[row]?;
            if loaded.replays.contains_key(&launch) {
                return None;
            }
            resolver.site(launch, sites)
        })
        .collect()
}

/// The site of every kernel of a trace.
pub(super) fn attribute(
    loaded: &Loaded,
    eager: &[Option<SiteId>],
    references: &References,
    kernels: &Kernels,
    engine: Option<&str>,
    sites: &mut Sites,
) -> Vec<Option<Attribution>> {
    let mut found: Vec<Option<Attribution>> = eager
        .iter()
        .map(|site| {
            site.map(|site| Attribution {
                site,
                method: SiteMethod::Launch,
                confidence: Confidence::High,
            })
        })
        .collect();
    let mut aligner = Aligner {
        references,
        kernels,
        known: HashMap::new(),
    };
    for rows in units(loaded) {
        let sequence: Vec<KernelId> = rows.iter().map(|&row| loaded.kernel(row)).collect();
        let stage = loaded.steps.of_gpu[rows[0]]
            .and_then(|index| loaded.steps.get(index))
            .map(|step| (step.stage, step.shape.batch));
        let Some(matched) = aligner.sites(sequence, stage) else {
            continue;
        };
        for (&row, site) in rows.iter().zip(matched) {
            found[row] = found[row].or(*site);
        }
    }
    let mut by_name = HashMap::new();
    for (row, found) in found.iter_mut().enumerate() {
        if found.is_none() && loaded.is_kernel(row) {
            let kernel = loaded.kernel(row);
            *found = *by_name.entry(kernel).or_insert_with(|| {
                references
                    .by_name(kernel)
                    .or_else(|| known(kernels, kernel, engine?, sites))
            });
        }
    }
    found
}

fn known(
    kernels: &Kernels,
    kernel: KernelId,
    engine: &str,
    sites: &mut Sites,
) -> Option<Attribution> {
    let kernel = kernels.get(kernel)?;
    let line = known_source(engine, &kernel.name, kernel.category)?;
    Some(Attribution {
        site: sites.add(Site {
            line,
            module: None,
            model: None,
            op: None,
        }),
        method: SiteMethod::KnownSource,
        confidence: Confidence::Low,
    })
}

/// Sequences to align: a whole replayed pass, or, where a pass is replayed in
/// pieces, the kernels of its step.
fn units(loaded: &Loaded) -> Vec<Vec<usize>> {
    let kernel_rows = |rows: &[u32]| -> Vec<usize> {
        rows.iter()
            .map(|&row| row as usize)
            .filter(|&row| loaded.is_kernel(row))
            .collect()
    };
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut launches: Vec<_> = loaded.replays.iter().collect();
    launches.sort_by_key(|&(launch, _)| *launch);
    for (_, rows) in launches {
        let rows = kernel_rows(rows);
        if rows.len() >= FULL_REPLAY_KERNELS {
            units.push(rows);
        }
    }
    for step in &loaded.steps.steps {
        let rows = kernel_rows(&step.gpu);
        let pieces = rows.iter().any(|&row| {
            loaded.trace.gpu.launch[row]
                .and_then(|launch| loaded.replays.get(&launch))
                .is_some_and(|replay| replay.len() < FULL_REPLAY_KERNELS)
        });
        if pieces {
            units.push(rows);
        }
    }
    units
}

/// What kind of step a sequence comes from.
type StepKind = Option<(Stage, Option<u32>)>;
type Matched = Option<Vec<Option<Attribution>>>;

struct Aligner<'r> {
    references: &'r References,
    kernels: &'r Kernels,
    known: HashMap<(Vec<KernelId>, StepKind), Matched>,
}

impl Aligner<'_> {
    fn sites(&mut self, sequence: Vec<KernelId>, step: StepKind) -> Option<&[Option<Attribution>]> {
        let room = self.known.len() < MOST_ALIGNED;
        match self.known.entry((sequence, step)) {
            Entry::Occupied(known) => known.into_mut().as_deref(),
            Entry::Vacant(_) if !room => None,
            Entry::Vacant(slot) => {
                let matched = best_match(self.references, self.kernels, &slot.key().0, step);
                slot.insert(matched).as_deref()
            }
        }
    }
}

/// Aligns a sequence with the likeliest references and keeps the best.
fn best_match(
    references: &References,
    kernels: &Kernels,
    sequence: &[KernelId],
    step: StepKind,
) -> Matched {
    let (stage, batch) = step.unwrap_or((Stage::Unknown, None));
    let mut candidates: Vec<&Reference> = references.passes.iter().collect();
    candidates.sort_by_key(|pass| {
        (
            pass.stage != stage,
            pass.batch != batch,
            pass.kernels.len().abs_diff(sequence.len()),
        )
    });
    let mut best: Option<(u64, &Reference, Vec<Option<usize>>)> = None;
    for pass in candidates.into_iter().take(4) {
        let matched = align(sequence.len(), pass.kernels.len(), &|left, right| {
            kernels.likeness(sequence[left], pass.kernels[right])
        });
        let score = score(kernels, sequence, pass, &matched);
        if best.as_ref().is_none_or(|(most, ..)| score > *most) {
            best = Some((score, pass, matched));
        }
    }
    let (score, pass, matched) = best?;
    // With fewer partners the two passes are not of one model.
    if matched.iter().flatten().count() * 2 < sequence.len() {
        return None;
    }
    let close = score * 10 >= 7 * 8 * sequence.len() as u64;
    Some(spread(kernels, sequence, pass, &matched, close))
}

fn score(
    kernels: &Kernels,
    sequence: &[KernelId],
    pass: &Reference,
    matched: &[Option<usize>],
) -> u64 {
    sequence
        .iter()
        .zip(matched)
        .filter_map(|(&kernel, at)| Some(kernels.likeness(kernel, pass.kernels[(*at)?])))
        .map(u64::from)
        .sum()
}

/// Turns matched positions into attributions. A kernel without a partner that
/// finishes what its matched neighbour began (the combine step of a split
/// attention, the reduction of a split GEMM) shares that neighbour's site.
fn spread(
    kernels: &Kernels,
    sequence: &[KernelId],
    pass: &Reference,
    matched: &[Option<usize>],
    close: bool,
) -> Vec<Option<Attribution>> {
    let mut out: Vec<Option<Attribution>> = Vec::with_capacity(sequence.len());
    let mut before: Option<(KernelCategory, Attribution)> = None;
    for (&kernel, at) in sequence.iter().zip(matched) {
        let category = kernels.category(kernel);
        let own = at.and_then(|at| {
            let confidence = match kernels.likeness(kernel, pass.kernels[at]) {
                8 if close => Confidence::High,
                4.. => Confidence::Medium,
                _ => Confidence::Low,
            };
            Some(Attribution {
                site: pass.sites[at]?,
                method: pass.method,
                confidence,
            })
        });
        let neighbour = before
            .filter(|(previous, _)| at.is_none() && *previous == category && category.is_compute())
            .map(|(_, attribution)| Attribution {
                confidence: attribution.confidence.max(Confidence::Medium),
                ..attribution
            });
        let site = own.or(neighbour);
        before = site.map(|site| (category, site));
        out.push(site);
    }
    out
}
