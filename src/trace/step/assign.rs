//! Tying GPU work to annotated steps by the call that launched it.

use std::collections::HashMap;

use super::super::category::{CategoryColumn, KernelCategory};
use super::super::index::{SpanIndex, StepIndex, ThreadId};
use super::super::{GpuKind, LaunchIndex, Trace};
use super::{Step, Steps};

/// A launch this long after a step is no longer taken for its tail.
const TAIL_NS: i64 = 20_000_000;

/// Fills `of_gpu` and each step's rows.
pub(super) fn assign(trace: &Trace, categories: &CategoryColumn, steps: &mut Steps) {
    let lookup = Lookup::new(trace, steps);
    // The kernels of one graph launch mostly follow each other.
    let mut last: Option<(LaunchIndex, Option<(StepIndex, bool)>)> = None;
    for row in 0..trace.gpu.len() {
        let found = match (trace.gpu.launch[row], last) {
            (Some(launch), Some((known, found))) if launch == known => found,
            (Some(launch), _) => {
                let found = lookup.of_launch(trace, launch);
                last = Some((launch, found));
                found
            }
            (None, _) => lookup.of_window(trace, row).map(|step| (step, true)),
        };
        let Some((step, inside)) = found else {
            continue;
        };
        steps.of_gpu[row] = Some(step);
        if let (Some(step), Ok(row)) = (steps.steps.get_mut(step.row()), u32::try_from(row)) {
            step.gpu.push(row);
            step.inside += u32::from(inside);
        }
    }
    give_up_cut_pass(trace, categories, steps);
}

/// Takes from the last step what belongs to a pass after it that has no
/// annotation, because the capture ended within. Such work mixes tokens, which
/// the tail of a step does not, unless others do so, too: those of a draft model.
fn give_up_cut_pass(trace: &Trace, categories: &CategoryColumn, steps: &mut Steps) {
    let launched = |row: u32| {
        let launch = trace.gpu.launch[row as usize];
        launch.map_or(i64::MIN, |launch| trace.launches.start_ns[launch.row()])
    };
    let mixes = |row: u32| {
        let row = row as usize;
        let category = categories.of(trace.gpu.name[row]);
        let mixing = [KernelCategory::Attention, KernelCategory::LinearAttention];
        trace.gpu.kind[row] == GpuKind::Kernel && mixing.contains(&category)
    };
    let in_tail = |step: &Step, row: u32| launched(row) > step.end_ns;
    let Some((last, others)) = steps.steps.split_last_mut() else {
        return;
    };
    let mixing_tail = |step: &Step| step.gpu.iter().any(|&row| in_tail(step, row) && mixes(row));
    if !mixing_tail(last) || others.iter().any(mixing_tail) {
        return;
    }
    let mut tail: Vec<(i64, u32)> = last
        .gpu
        .iter()
        .filter(|&&row| in_tail(last, row))
        .map(|&row| (launched(row), row))
        .collect();
    tail.sort_unstable();
    // The host is slowest between two passes.
    let mut before = last.end_ns;
    let mut begin = (i64::MIN, before);
    for &(at, row) in &tail {
        begin = begin.max((at - before, at));
        before = at;
        if mixes(row) {
            break;
        }
    }
    let kept = |&row: &u32| launched(row) < begin.1;
    for row in last.gpu.iter().filter(|row| !kept(row)) {
        steps.of_gpu[*row as usize] = None;
    }
    last.gpu.retain(kept);
}

struct Lookup {
    /// Steps of each thread: start, end, step; in order of start.
    by_thread: HashMap<ThreadId, Vec<(i64, i64, StepIndex)>>,
    /// All steps, where only one thread has any.
    only: Option<ThreadId>,
    /// Annotations around exactly one step.
    around: HashMap<SpanIndex, StepIndex>,
    /// Windows on the GPU track by device: start, end, step.
    windows: Vec<(i64, i64, u32, StepIndex)>,
}

impl Lookup {
    fn new(trace: &Trace, steps: &Steps) -> Self {
        let mut by_thread: HashMap<ThreadId, Vec<(i64, i64, StepIndex)>> = HashMap::new();
        let mut around: HashMap<SpanIndex, Option<StepIndex>> = HashMap::new();
        let mut by_id = HashMap::new();
        for (position, step) in steps.steps.iter().enumerate() {
            let (Some(index), Some(thread), Some(span)) =
                (StepIndex::new(position), step.thread, step.annotation)
            else {
                continue;
            };
            by_thread
                .entry(thread)
                .or_default()
                .push((step.start_ns, step.end_ns, index));
            by_id.insert(trace.annotations.external_id[span.row()], index);
            let mut outer = trace.annotations.parent[span.row()];
            while let Some(span) = outer {
                around
                    .entry(span)
                    .and_modify(|step| *step = None)
                    .or_insert(Some(index));
                outer = trace.annotations.parent[span.row()];
            }
        }
        let only = match by_thread.len() {
            1 => by_thread.keys().next().copied(),
            _ => None,
        };
        Self {
            by_thread,
            only,
            around: around
                .into_iter()
                .filter_map(|(span, step)| Some((span, step?)))
                .collect(),
            windows: windows(trace, &by_id),
        }
    }

    /// The step of a launch and whether it was made inside the annotation.
    fn of_launch(&self, trace: &Trace, launch: LaunchIndex) -> Option<(StepIndex, bool)> {
        let row = launch.row();
        let at = trace.launches.start_ns[row];
        let thread = trace.launches.thread[row];
        let own = self.by_thread.get(&thread);
        let steps = own.or_else(|| self.by_thread.get(&self.only?))?;
        let after = steps.partition_point(|step| step.0 <= at);
        let inside = steps[..after]
            .iter()
            .rev()
            .take(4)
            .find(|step| step.1 >= at);
        if let Some(step) = inside {
            return Some((step.2, true));
        }
        let around = trace
            .annotations
            .enclosing(thread, at)
            .find_map(|span| self.around.get(&span));
        if let Some(&step) = around {
            return Some((step, false));
        }
        let before = steps[..after].last()?;
        (at - before.1 <= TAIL_NS).then_some((before.2, false))
    }

    fn of_window(&self, trace: &Trace, row: usize) -> Option<StepIndex> {
        let start = trace.gpu.start_ns[row];
        let after = self.windows.partition_point(|window| window.0 <= start);
        self.windows[..after]
            .iter()
            .rev()
            .take(8)
            .find(|window| window.1 >= start && window.2 == trace.gpu.device[row])
            .map(|window| window.3)
    }
}

fn windows(trace: &Trace, by_id: &HashMap<u64, StepIndex>) -> Vec<(i64, i64, u32, StepIndex)> {
    let table = &trace.gpu_annotations;
    (0..table.len())
        .filter(|&row| table.external_id[row] != 0)
        .filter_map(|row| {
            let step = *by_id.get(&table.external_id[row])?;
            let start = table.start_ns[row];
            Some((
                start,
                start.saturating_add(table.dur_ns[row]),
                table.device[row],
                step,
            ))
        })
        .collect()
}
