//! Long lists made short.

use super::record::{Change, Comparison, PipelineRecord, Totals};
use super::request::PipelineRequest;

const PASSES: usize = 8;
const LAYERS: usize = 8;
const HOT_A_TYPE: usize = 6;
const HOT: usize = 12;
const STEPS: usize = 8;

impl Totals {
    pub(super) fn of(record: &PipelineRecord) -> Self {
        Self {
            passes: record.passes.len() as u32,
            layers: record.layers.len() as u32,
            hot_kernels: record.hot_kernels.len() as u32,
            flows: record.flows.len() as u32,
            perfetto: record.perfetto.len() as u32,
        }
    }
}

/// Leaves what a reader looks at first: one pass of each kind and the chosen
/// one, one layer of each type and those asked for, the hottest kernels.
pub fn shorten(record: &mut PipelineRecord, request: &PipelineRequest) {
    shorten_passes(record);
    let mut layers: Vec<u32> = request.layers.clone();
    layers.extend(request.compare_layers.iter().flatten());
    layers.extend(record.layer_types.iter().map(|kind| kind.representative));
    layers.sort_unstable();
    layers.dedup();
    layers.truncate(LAYERS.max(request.layers.len()));
    record.layers.retain(|layer| layers.contains(&layer.index));
    let mut at = 0;
    record.perfetto.retain(|_| {
        let keep = at == 0 || layers.contains(&(at - 1));
        at += 1;
        keep
    });
    if request.layers.is_empty() {
        record.flows.clear();
    }
    let mut shown: Vec<(String, usize)> = Vec::new();
    record.hot_kernels.retain(|kernel| {
        let count = match shown.iter_mut().find(|(name, _)| *name == kernel.r#type) {
            Some((_, count)) => count,
            None => {
                shown.push((kernel.r#type.clone(), 0));
                let last = shown.len() - 1;
                &mut shown[last].1
            }
        };
        *count += 1;
        *count <= HOT_A_TYPE
    });
    record.hot_kernels.truncate(HOT);
    let comparisons = record
        .type_comparisons
        .iter_mut()
        .chain(&mut record.layer_comparison);
    let mut cut = false;
    for comparison in comparisons {
        cut |= shorten_comparison(comparison);
    }
    record.truncated = cut || Totals::of(record) != record.total;
}

/// Keeps the first pass of each kind, the chosen one, and then the first others.
fn shorten_passes(record: &mut PipelineRecord) {
    if record.passes.len() <= PASSES {
        return;
    }
    let mut kinds = Vec::new();
    let mut keep: Vec<u32> = vec![record.chosen_pass.index];
    for pass in &record.passes {
        let kind = (pass.stage, pass.batch, pass.layers, pass.state);
        if !kinds.contains(&kind) && keep.len() < PASSES {
            kinds.push(kind);
            keep.push(pass.index);
        }
    }
    for pass in &record.passes {
        if keep.len() < PASSES && !keep.contains(&pass.index) {
            keep.push(pass.index);
        }
    }
    record.passes.retain(|pass| keep.contains(&pass.index));
}

/// Keeps the steps that make the most difference; whether any went.
fn shorten_comparison(comparison: &mut Comparison) -> bool {
    let before = comparison.steps.len();
    let mut deltas: Vec<f64> = comparison
        .steps
        .iter()
        .filter(|step| step.change != Change::Same)
        .map(|step| step.delta_us.abs())
        .collect();
    deltas.sort_by(|a, b| b.total_cmp(a));
    let least = deltas.get(STEPS - 1).copied().unwrap_or(0.0);
    comparison
        .steps
        .retain(|step| step.change != Change::Same && step.delta_us.abs() >= least);
    comparison.steps.truncate(STEPS);
    comparison.steps.len() < before
}
