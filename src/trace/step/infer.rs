//! Steps where nothing is annotated: cut by what the kernels do.

use std::collections::HashMap;

use super::super::category::{CategoryColumn, KernelCategory};
use super::super::index::{LaunchIndex, StepIndex};
use super::super::{GpuKind, Trace};
use super::grammar::evidence;
use super::{Stage, Step, StepShape, StepSource, Steps};

/// A graph replay with at least this many kernels is a whole forward pass;
/// pieces between eager kernels are smaller.
const FULL_REPLAY_KERNELS: u32 = 64;

pub(super) fn infer(trace: &Trace, categories: &CategoryColumn, hint: Option<Stage>) -> Steps {
    let passes = cut(trace, categories);
    let mut steps = Steps {
        steps: Vec::new(),
        empty: 0,
        source: match (passes.is_empty(), hint) {
            (true, _) => StepSource::None,
            (false, Some(_)) => StepSource::Folder,
            (false, None) => StepSource::Kernels,
        },
        engine: None,
        of_gpu: vec![None; trace.gpu.len()],
    };
    let replayed = replay_sizes(trace);
    for rows in passes {
        let stage = hint.unwrap_or_else(|| stage_of(trace, &rows, &replayed));
        let index = StepIndex::new(steps.steps.len());
        for &row in &rows {
            steps.of_gpu[row as usize] = index;
        }
        let start_ns = rows
            .first()
            .map_or(0, |&row| trace.gpu.start_ns[row as usize]);
        let end_ns = rows
            .iter()
            .map(|&row| trace.gpu.end_ns(row as usize))
            .max()
            .unwrap_or(start_ns);
        steps.steps.push(Step {
            stage,
            shape: StepShape::default(),
            capture: false,
            name: None,
            annotation: None,
            thread: None,
            start_ns,
            end_ns,
            inside: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            gpu: rows,
        });
    }
    steps
}

/// Cuts the GPU rows into passes: a pass ends with its sampling kernels, or,
/// where there are none, before the next whole graph replay.
fn cut(trace: &Trace, categories: &CategoryColumn) -> Vec<Vec<u32>> {
    let is_kernel = |row: &usize| trace.gpu.kind[*row] == GpuKind::Kernel;
    let category = |row: usize| categories.of(trace.gpu.name[row]);
    let samples = (0..trace.gpu.len())
        .filter(is_kernel)
        .any(|row| category(row) == KernelCategory::Sampling);
    let replayed = replay_sizes(trace);
    let full = |row: usize| {
        let launch = trace.gpu.launch[row]?;
        (replayed.get(&launch).copied()? >= FULL_REPLAY_KERNELS).then_some(launch)
    };
    let mut passes: Vec<Vec<u32>> = Vec::new();
    let mut sampled = true;
    let mut replay = None;
    for row in 0..trace.gpu.len() {
        let begins = if samples {
            let works = category(row).is_compute() || category(row) == KernelCategory::Norm;
            is_kernel(&row) && sampled && works
        } else {
            full(row).is_some_and(|launch| replay != Some(launch)) || passes.is_empty()
        };
        if begins {
            passes.push(Vec::new());
            sampled = false;
        }
        sampled |= is_kernel(&row) && category(row) == KernelCategory::Sampling;
        replay = full(row).or(replay);
        if let (Some(pass), Ok(row)) = (passes.last_mut(), u32::try_from(row)) {
            pass.push(row);
        }
    }
    passes
}

/// Kernels of each graph replay.
fn replay_sizes(trace: &Trace) -> HashMap<LaunchIndex, u32> {
    let mut sizes = HashMap::new();
    for launch in trace.gpu.launch.iter().flatten() {
        *sizes.entry(*launch).or_insert(0) += 1;
    }
    sizes
}

fn stage_of(trace: &Trace, rows: &[u32], replayed: &HashMap<LaunchIndex, u32>) -> Stage {
    let mut told: HashMap<Stage, i64> = HashMap::new();
    let mut in_full_replay = 0;
    for &row in rows {
        let row = row as usize;
        let name = trace.text(trace.gpu.name[row]).to_lowercase();
        for evidence in evidence() {
            if evidence.any.iter().any(|word| name.contains(word)) {
                *told.entry(evidence.stage).or_default() += trace.gpu.dur_ns[row].max(1);
            }
        }
        let size = trace.gpu.launch[row].and_then(|launch| replayed.get(&launch));
        in_full_replay += usize::from(size.is_some_and(|&size| size >= FULL_REPLAY_KERNELS));
    }
    match told.into_iter().max_by_key(|&(stage, ns)| (ns, stage)) {
        Some((stage, _)) => stage,
        None if in_full_replay * 2 > rows.len() => Stage::Decode,
        None => Stage::Unknown,
    }
}
