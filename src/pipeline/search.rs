//! The layers of each pass: which kernels are looked at, and how they are
//! told apart.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::layering::{self, Layering, NoLayers, Symbol};
use crate::trace::{CategoryColumn, GpuKind, KernelCategory, NameId, Trace};

/// Kernels are not told apart in another way for layers this regular, and
/// other streams are not looked at for layers this plausible.
const REGULAR: f64 = 0.7;
const PLAUSIBLE: f64 = 0.4;

/// A kernel of a side stream, or a copy, is of the layers when at least one
/// in so many layers has one.
const RECURRING: usize = 8;

/// The layers of one pass.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// GPU rows of each layer in order of start, copies and other streams
    /// included.
    pub layers: Vec<Vec<u32>>,
    /// The kernels by which each layer was found, as symbols.
    pub kernels: Vec<Vec<Symbol>>,
    /// Layers in each run of layers, where there are several; a draft model's
    /// layers are a run of their own.
    pub runs: Vec<usize>,
    /// GPU rows where each run begins, for splitting what holds two passes.
    pub run_starts: Vec<u32>,
}

/// Finds layers, and remembers what it found for equal sequences.
pub(super) struct Search<'t> {
    trace: &'t Trace,
    /// Symbol of each GPU row by name, grid and block.
    by_shape: Vec<Symbol>,
    /// Symbol of each GPU row by name.
    by_name: Vec<Symbol>,
    /// Whether a symbol of either kind mixes tokens.
    mixes: Vec<bool>,
    /// Layers of sequences that were searched before: passes that replay a graph are equal.
    known: Mutex<HashMap<Vec<Symbol>, Result<Layering, NoLayers>>>,
}

/// Grid and block of a kernel.
type Shape = ([u32; 3], [u32; 3]);

/// The symbols of one name, and of the shape in which it was seen last.
#[derive(Debug, Clone, Copy)]
struct Known {
    by_name: Symbol,
    shape: Shape,
    by_shape: Symbol,
}

/// Symbols given out so far. Most kernels have the shape that their name had
/// last, so that few rows need the map.
struct Symbols {
    by_name: Vec<Option<Known>>,
    shapes: HashMap<(NameId, Shape), Symbol>,
}

impl Symbols {
    fn new(names: usize) -> Self {
        Self {
            by_name: vec![None; names],
            shapes: HashMap::new(),
        }
    }

    fn of(&mut self, name: NameId, shape: Shape, mut next: impl FnMut() -> Symbol) -> Known {
        let known = match self.by_name[name.row()] {
            Some(known) if known.shape == shape => return known,
            known => known,
        };
        let by_name = known.map_or_else(&mut next, |known| known.by_name);
        let by_shape = *self.shapes.entry((name, shape)).or_insert_with(next);
        let known = Known {
            by_name,
            shape,
            by_shape,
        };
        self.by_name[name.row()] = Some(known);
        known
    }
}

impl<'t> Search<'t> {
    pub fn new(trace: &'t Trace, categories: &CategoryColumn) -> Self {
        let mut search = Self {
            trace,
            by_shape: Vec::with_capacity(trace.gpu.len()),
            by_name: Vec::with_capacity(trace.gpu.len()),
            mixes: Vec::new(),
            known: Mutex::default(),
        };
        let mut symbols = Symbols::new(trace.strings.len());
        for row in 0..trace.gpu.len() {
            let name = trace.gpu.name[row];
            let mixes = || {
                matches!(
                    categories.of(name),
                    KernelCategory::Attention | KernelCategory::LinearAttention
                )
            };
            let shape = (trace.gpu.grid[row], trace.gpu.block[row]);
            let known = symbols.of(name, shape, || {
                search.mixes.push(mixes());
                search.mixes.len() as Symbol - 1
            });
            search.by_name.push(known.by_name);
            search.by_shape.push(known.by_shape);
        }
        search
    }

    /// The layers among some GPU rows, which are in order of start.
    pub fn find(&self, rows: &[u32]) -> Result<Found, NoLayers> {
        let kernels: Vec<u32> = rows
            .iter()
            .copied()
            .filter(|&row| self.trace.gpu.kind[row as usize] == GpuKind::Kernel)
            .collect();
        let main = self.main_stream(&kernels);
        let several = main.len() < kernels.len();
        let mut best: Option<(Layering, &[u32])> = None;
        let mut why = None;
        let everywhere = several.then_some(kernels.as_slice());
        for view in [Some(main.as_slice()), everywhere].into_iter().flatten() {
            for shaped in [true, false] {
                match self.layering(view, shaped) {
                    Ok(found) if better(&found, best.as_ref().map(|best| &best.0)) => {
                        best = Some((found, view));
                    }
                    Ok(_) => {}
                    Err(reason) => why = why.or(Some(reason)),
                }
                if best
                    .as_ref()
                    .is_some_and(|best| best.0.quality() >= REGULAR)
                {
                    break;
                }
            }
            if best
                .as_ref()
                .is_some_and(|best| best.0.quality() >= PLAUSIBLE)
            {
                break;
            }
        }
        match best {
            Some((layering, view)) => Ok(self.found(&layering, view, rows)),
            None => Err(why.unwrap_or(NoLayers::TooFew { kernels: 0 })),
        }
    }

    /// The kernels of the stream that has most of them.
    fn main_stream(&self, kernels: &[u32]) -> Vec<u32> {
        let track = |row: u32| self.trace.gpu.track(row as usize);
        let mut counts: Vec<((u32, u32), usize)> = Vec::new();
        // Streams are few, and a kernel is mostly on the stream of the one before.
        let mut last = 0;
        for &row in kernels {
            let own = track(row);
            if counts.get(last).is_none_or(|known| known.0 != own) {
                last = counts
                    .iter()
                    .position(|known| known.0 == own)
                    .unwrap_or(counts.len());
                if last == counts.len() {
                    counts.push((own, 0));
                }
            }
            counts[last].1 += 1;
        }
        let main = counts
            .into_iter()
            .max_by_key(|&(track, count)| (count, track));
        let on_main = |row: &&u32| main.is_some_and(|main| main.0 == track(**row));
        kernels.iter().filter(on_main).copied().collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Vec<Symbol>, Result<Layering, NoLayers>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn layering(&self, view: &[u32], shaped: bool) -> Result<Layering, NoLayers> {
        let column = if shaped {
            &self.by_shape
        } else {
            &self.by_name
        };
        let sequence: Vec<Symbol> = view.iter().map(|&row| column[row as usize]).collect();
        if let Some(known) = self.known().get(&sequence) {
            return known.clone();
        }
        let mixes = &self.mixes;
        let found = layering::find(&sequence, |symbol| mixes[symbol as usize]);
        self.known().insert(sequence, found.clone());
        found
    }

    /// Gives the kernels that layers were found by to their layers, and those
    /// of other streams and copies, where they recur, to the layer in whose
    /// time they start.
    fn found(&self, layering: &Layering, view: &[u32], rows: &[u32]) -> Found {
        let start = |row: u32| self.trace.gpu.start_ns[row as usize];
        let end = |row: u32| self.trace.gpu.end_ns(row as usize);
        let ranges: &[Range<usize>] = layering.longest();
        let starts: Vec<i64> = ranges
            .iter()
            .map(|range| start(view[range.start]))
            .collect();
        let last_end = ranges
            .last()
            .and_then(|range| view[range.clone()].iter().map(|&row| end(row)).max())
            .unwrap_or(i64::MIN);
        let in_time = |row: u32| {
            let at = start(row);
            let layer = starts.partition_point(|&start| start <= at);
            (layer > 0 && at < last_end).then(|| layer - 1)
        };
        let recurring = self.recurring(rows, ranges.len(), in_time);
        let mut viewed = vec![false; rows.len()];
        for range in ranges {
            for &row in &view[range.clone()] {
                if let Ok(at) = rows.binary_search(&row) {
                    viewed[at] = true;
                }
            }
        }
        let mut layers = vec![Vec::new(); ranges.len()];
        for (&row, viewed) in rows.iter().zip(viewed) {
            if let Some(layer) = in_time(row)
                && (viewed || recurring[self.by_name[row as usize] as usize])
            {
                layers[layer].push(row);
            }
        }
        let symbols = |range: &Range<usize>| {
            let rows = view[range.clone()].iter();
            rows.map(|&row| self.by_shape[row as usize]).collect()
        };
        Found {
            layers,
            kernels: ranges.iter().map(symbols).collect(),
            runs: layering.runs.iter().map(Vec::len).collect(),
            run_starts: layering
                .runs
                .iter()
                .filter_map(|run| run.first())
                .map(|range| view[range.start])
                .collect(),
        }
    }
}

impl Search<'_> {
    /// Which names run in so many layers that they belong to them; others on
    /// side streams are the host's work for another pass.
    fn recurring(
        &self,
        rows: &[u32],
        layers: usize,
        in_time: impl Fn(u32) -> Option<usize>,
    ) -> Vec<bool> {
        let mut seen_in: HashMap<Symbol, (usize, usize)> = HashMap::new();
        for &row in rows {
            if let Some(layer) = in_time(row) {
                let seen = seen_in
                    .entry(self.by_name[row as usize])
                    .or_insert((0, usize::MAX));
                if seen.1 != layer {
                    *seen = (seen.0 + 1, layer);
                }
            }
        }
        let least = (layers / RECURRING).max(2).min(layers);
        let mut recurring = vec![false; self.mixes.len()];
        for (symbol, (count, _)) in seen_in {
            recurring[symbol as usize] = count >= least;
        }
        recurring
    }
}

fn better(found: &Layering, best: Option<&Layering>) -> bool {
    best.is_none_or(|best| found.quality() > best.quality() + 0.05)
}
