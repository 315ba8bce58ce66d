//! Two layers, or one layer type in two traces, side by side.

use std::collections::BTreeMap;

use super::flow::{self, RoleTime};
use super::layer::Layers;
use super::record::{Change, Comparison, DiffRow};
use super::units::{micros, thousandth};
use crate::trace::{GpuKind, KernelCategory, short};

/// Durations this close, relatively or in microseconds, are the same.
const SAME_SHARE: f64 = 0.05;
const SAME_US: f64 = 0.5;
/// Kernels of one side that are aligned, at most.
const LONGEST: usize = 4096;

/// A kernel of one side.
#[derive(Debug, Clone)]
struct Item {
    name: String,
    category: KernelCategory,
    us: f64,
}

/// Compares two layers of a pass.
pub(super) fn layers(layers: &Layers<'_>, a: usize, b: usize) -> Comparison {
    let label = |layer: usize| format!("layer {layer} ({})", layers.names[layer]);
    compare(
        label(a),
        label(b),
        &of_layer(layers, a),
        &of_layer(layers, b),
    )
}

/// Compares one layer type of two traces by its average kernels.
pub(super) fn types(a: &Layers<'_>, b: &Layers<'_>, name: &str, labels: [&str; 2]) -> Comparison {
    let label = |trace: &str| format!("{name} in {trace}");
    compare(
        label(labels[0]),
        label(labels[1]),
        &of_type(a, name),
        &of_type(b, name),
    )
}

fn of_layer(layers: &Layers<'_>, layer: usize) -> Vec<Item> {
    let gpu = &layers.trace.gpu;
    let kernels = layers
        .rows(layer)
        .iter()
        .filter(|&&row| gpu.kind[row as usize] == GpuKind::Kernel);
    kernels
        .map(|&row| Item {
            name: short(layers.trace.text(gpu.name[row as usize])),
            category: layers.category(row),
            us: micros(gpu.dur_ns[row as usize]),
        })
        .collect()
}

/// The kernels that most layers of a type have.
fn of_type(layers: &Layers<'_>, name: &str) -> Vec<Item> {
    let members = layers.members(name).len() as u32;
    let common = |role: &RoleTime| 2 * role.layers > members;
    flow::roles(layers, name)
        .into_iter()
        .filter(common)
        .map(|role| Item {
            name: short(layers.trace.text(role.name)),
            category: role.category,
            us: role.average_us(),
        })
        .collect()
}

fn compare(a_label: String, b_label: String, a: &[Item], b: &[Item]) -> Comparison {
    let steps = align(&a[..a.len().min(LONGEST)], &b[..b.len().min(LONGEST)]);
    let mut counts = BTreeMap::new();
    for step in &steps {
        *counts.entry(step.change).or_insert(0) += 1;
    }
    let sum = |items: &[Item]| thousandth(items.iter().map(|item| item.us).sum());
    Comparison {
        a: a_label,
        b: b_label,
        a_us: sum(a),
        b_us: sum(b),
        steps,
        counts,
    }
}

/// Aligns two lists so that as many kernels as possible stand beside their
/// like: the same kernel counts most, one of the same category less, others
/// never (Needleman and Wunsch, 1970).
fn align(a: &[Item], b: &[Item]) -> Vec<DiffRow> {
    let width = b.len() + 1;
    let mut best = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let pair = worth(&a[i], &b[j]);
            let apart = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            best[i * width + j] = match pair {
                0 => apart,
                worth => apart.max(best[(i + 1) * width + j + 1] + worth),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::new();
    while i < a.len() || j < b.len() {
        let here = best[i * width + j];
        let pair = match (a.get(i), b.get(j)) {
            (Some(a), Some(b)) => worth(a, b),
            _ => 0,
        };
        if pair > 0 && here == best[(i + 1) * width + j + 1] + pair {
            steps.push(both(&a[i], &b[j]));
            i += 1;
            j += 1;
        } else if i < a.len() && here == best[(i + 1) * width + j] {
            steps.push(one(&a[i], Change::Delete));
            i += 1;
        } else {
            steps.push(one(&b[j], Change::Insert));
            j += 1;
        }
    }
    steps
}

fn worth(a: &Item, b: &Item) -> u32 {
    match (a.name == b.name, a.category == b.category) {
        (true, _) => 4,
        (false, true) if a.category != KernelCategory::Other => 3,
        _ => 0,
    }
}

fn both(a: &Item, b: &Item) -> DiffRow {
    let delta = b.us - a.us;
    let same = delta.abs() <= SAME_US || delta.abs() <= SAME_SHARE * a.us;
    DiffRow {
        change: match (same, delta > 0.0) {
            (true, _) => Change::Same,
            (false, true) => Change::Slower,
            (false, false) => Change::Faster,
        },
        category: a.category,
        a: Some(a.name.clone()),
        b: Some(b.name.clone()),
        a_us: Some(a.us),
        b_us: Some(b.us),
        delta_us: thousandth(delta),
    }
}

fn one(item: &Item, change: Change) -> DiffRow {
    let (name, us) = (Some(item.name.clone()), Some(item.us));
    let deleted = change == Change::Delete;
    DiffRow {
        change,
        category: item.category,
        a: name.clone().filter(|_| deleted),
        b: name.filter(|_| !deleted),
        a_us: us.filter(|_| deleted),
        b_us: us.filter(|_| !deleted),
        delta_us: if deleted { -item.us } else { item.us },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KernelCategory::*;

    fn items(list: &[(&str, KernelCategory, f64)]) -> Vec<Item> {
        list.iter()
            .map(|&(name, category, us)| Item {
                name: name.into(),
                category,
                us,
            })
            .collect()
    }

    #[test]
    fn kernels_stand_beside_their_like() {
        let a = items(&[
            ("qkv", Gemm, 20.0),
            ("rope", Rope, 2.0),
            ("fa", Attention, 10.0),
            ("o", Gemm, 14.0),
            ("reduce", Gemm, 2.0),
        ]);
        let b = items(&[
            ("qkv", Gemm, 30.0),
            ("fa3", Attention, 10.2),
            ("combine", Attention, 1.0),
            ("o", Gemm, 10.0),
        ]);
        let found = compare("a".into(), "b".into(), &a, &b);
        let changes: Vec<_> = found
            .steps
            .iter()
            .map(|step| (step.change, step.a.as_deref(), step.b.as_deref()))
            .collect();
        use Change::*;
        assert_eq!(
            changes,
            [
                (Slower, Some("qkv"), Some("qkv")),
                (Delete, Some("rope"), None),
                (Same, Some("fa"), Some("fa3")),
                (Insert, None, Some("combine")),
                (Faster, Some("o"), Some("o")),
                (Delete, Some("reduce"), None),
            ]
        );
        let delta: f64 = found.steps.iter().map(|step| step.delta_us).sum();
        assert!((delta - (found.b_us - found.a_us)).abs() < 1e-9);
    }

    #[test]
    fn an_empty_side_is_all_inserts() {
        let b = items(&[("x", Gemm, 1.0)]);
        let found = compare("a".into(), "b".into(), &[], &b);
        assert_eq!(found.counts, [(Change::Insert, 1)].into());
    }
}
