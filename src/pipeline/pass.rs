//! The passes of a trace with their layers.

use std::collections::HashMap;

use super::layering::NoLayers;
use super::parallel::in_parallel;
use super::record::{PassRow, PassState};
use super::search::{Found, Search};
use super::steady;
use super::units::{from_first, micros};
use crate::trace::{CategoryColumn, GpuKind, Stage, StepShape, StepSource, Steps, Trace};

/// One forward pass.
#[derive(Debug)]
pub(super) struct Pass {
    pub stage: Stage,
    pub shape: StepShape,
    /// GPU rows in order of start, copies included.
    pub rows: Vec<u32>,
    pub found: Result<Found, NoLayers>,
    pub wall: Wall,
    pub state: PassState,
    pub note: Option<String>,
}

impl Pass {
    pub fn layers(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.layers.len())
    }

    pub fn row(&self, trace: &Trace, index: usize) -> PassRow {
        PassRow {
            index: index as u32,
            stage: self.stage,
            batch: self.shape.batch,
            tokens: self.shape.tokens,
            start_us: from_first(trace, self.wall.start_ns),
            wall_us: micros(self.wall.wall_ns()),
            busy_us: micros(self.wall.busy_ns),
            layers: self.layers() as u32,
            kernels: self.wall.kernels,
            steady: self.state == PassState::Steady,
            state: self.state,
            note: self.note.clone(),
        }
    }
}

/// When kernels ran.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wall {
    pub start_ns: i64,
    pub end_ns: i64,
    /// Union of the kernels' times.
    pub busy_ns: i64,
    pub sum_ns: i64,
    pub kernels: u32,
}

impl Wall {
    /// The times of the kernels among some rows, which are in order of start.
    pub fn of(trace: &Trace, rows: &[u32]) -> Self {
        let mut wall = Self::default();
        for &row in rows {
            let row = row as usize;
            if trace.gpu.kind[row] != GpuKind::Kernel {
                continue;
            }
            let (start, end) = (trace.gpu.start_ns[row], trace.gpu.end_ns(row));
            if wall.kernels == 0 {
                (wall.start_ns, wall.end_ns) = (start, start);
            }
            wall.kernels += 1;
            wall.sum_ns += trace.gpu.dur_ns[row];
            wall.busy_ns += (end - start.max(wall.end_ns)).max(0);
            wall.end_ns = wall.end_ns.max(end);
        }
        wall
    }

    pub fn wall_ns(&self) -> i64 {
        self.end_ns - self.start_ns
    }

    pub fn idle_ns(&self) -> i64 {
        self.wall_ns() - self.busy_ns
    }
}

/// All passes of a trace.
pub(super) struct Passes {
    pub passes: Vec<Pass>,
    pub source: StepSource,
    /// Layers of a complete pass; 0 when no pass has any.
    pub layers: usize,
}

impl Passes {
    /// Bounds the passes by annotations, else by graph launches and sampling
    /// kernels, and finds the layers of each.
    pub fn new(trace: &Trace, categories: &CategoryColumn) -> Self {
        let steps = Steps::new(trace, categories, None);
        let search = Search::new(trace, categories);
        let mut bounded: Vec<(Stage, StepShape, Vec<u32>)> = steps
            .steps
            .into_iter()
            .filter(|step| !step.capture && !step.gpu.is_empty())
            .map(|step| (step.stage, step.shape, step.gpu))
            .collect();
        if bounded.is_empty() {
            let all = (0..trace.gpu.len() as u32).collect();
            bounded.push((Stage::Unknown, StepShape::default(), all));
        }
        let mut parts = Vec::with_capacity(bounded.len());
        for (stage, shape, rows) in bounded {
            let rows = match steps.source {
                StepSource::Annotation => vec![rows],
                _ => split(trace, &search, rows),
            };
            parts.extend(rows.into_iter().map(|rows| (stage, shape, rows)));
        }
        let found = in_parallel(&parts, |(_, _, rows)| {
            (search.find(rows), Wall::of(trace, rows))
        });
        let mut passes: Vec<Pass> = parts
            .into_iter()
            .zip(found)
            .map(|((stage, shape, rows), (found, wall))| Pass {
                stage,
                shape,
                rows,
                found,
                wall,
                state: PassState::NoLayers,
                note: None,
            })
            .collect();
        passes.sort_by_key(|pass| pass.wall.start_ns);
        let layers = usual_layers(&passes);
        let mut found = Self {
            passes,
            source: steps.source,
            layers,
        };
        found.judge();
        found
    }

    /// Gives every pass its state.
    fn judge(&mut self) {
        let usual = self.layers;
        let last = self.passes.len().saturating_sub(1);
        let mut kinds: HashMap<(Stage, StepShape, usize), Vec<usize>> = HashMap::new();
        for (index, pass) in self.passes.iter_mut().enumerate() {
            let layers = pass.layers();
            match &pass.found {
                Err(reason) => pass.note = Some(reason.to_string()),
                Ok(found) if layers < usual => {
                    pass.state = PassState::Cut;
                    pass.note = Some(match (index == 0, index == last) {
                        (true, _) => format!(
                            "the capture begins inside this pass: {layers} of {usual} layers"
                        ),
                        (_, true) => {
                            format!("the capture ends inside this pass: {layers} of {usual} layers")
                        }
                        _ => format!(
                            "{layers} of the usual {usual} layers were found{}",
                            in_runs(found)
                        ),
                    });
                }
                Ok(found) => {
                    pass.note = match found.runs.len() {
                        1 => None,
                        _ => Some(format!("{layers} layers{}", in_runs(found))),
                    };
                    kinds
                        .entry((pass.stage, pass.shape, layers))
                        .or_default()
                        .push(index);
                }
            }
        }
        for indices in kinds.into_values() {
            let walls: Vec<f64> = indices
                .iter()
                .map(|&index| self.passes[index].wall.wall_ns() as f64)
                .collect();
            for (&index, state) in indices.iter().zip(steady::states(&walls)) {
                self.passes[index].state = state;
            }
        }
    }
}

fn in_runs(found: &Found) -> String {
    if found.runs.len() < 2 {
        return String::new();
    }
    let runs: Vec<String> = found.runs.iter().map(usize::to_string).collect();
    format!(
        " (runs of {} layers with other kernels between)",
        runs.join(", ")
    )
}

/// The number of layers that most passes have, of equals the larger.
fn usual_layers(passes: &[Pass]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for pass in passes.iter().filter(|pass| pass.found.is_ok()) {
        *counts.entry(pass.layers()).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|&(layers, count)| (count, layers))
        .map_or(0, |(layers, _)| layers)
}

/// Parts GPU rows between runs of about equally many layers, where nothing
/// else has told the passes apart.
fn split(trace: &Trace, search: &Search<'_>, rows: Vec<u32>) -> Vec<Vec<u32>> {
    let Ok(found) = search.find(&rows) else {
        return vec![rows];
    };
    let most = found.runs.iter().copied().max().unwrap_or(0);
    let long = |&(_, &layers): &(usize, &usize)| 4 * layers >= 3 * most;
    let starts: Vec<u32> = found
        .runs
        .iter()
        .enumerate()
        .filter(long)
        .map(|(run, _)| found.run_starts[run])
        .collect();
    let mut parts = Vec::new();
    let mut rest = rows;
    for pair in starts.windows(2).rev() {
        let from = rest.partition_point(|&row| row <= pair[0]);
        let to = rest.partition_point(|&row| row < pair[1]);
        // The host is slowest between two passes.
        let pause = (from + 1..=to).max_by_key(|&at| {
            let before = trace.gpu.end_ns(rest[at - 1] as usize);
            rest.get(at)
                .map_or(0, |&row| trace.gpu.start_ns[row as usize] - before)
        });
        if let Some(at) = pause {
            parts.push(rest.split_off(at));
        }
    }
    parts.push(rest);
    parts.reverse();
    parts
}
