//! The kernels of a layer one by one, and which of them a type spends its time on.

use std::collections::HashMap;

use super::layer::Layers;
use super::record::{FlowRow, HotKernel, LayerFlow};
use super::units::{micros, thousandth};
use crate::trace::{GpuKind, KernelCategory, NameId, short};

/// The kernels and copies of a layer in order of start.
pub(super) fn flow(layers: &Layers<'_>, layer: usize) -> LayerFlow {
    let gpu = &layers.trace.gpu;
    let rows = layers.rows(layer);
    let start = rows.first().map_or(0, |&row| gpu.start_ns[row as usize]);
    let sum: i64 = rows.iter().map(|&row| gpu.dur_ns[row as usize]).sum();
    let mut end = start;
    let kernels = rows
        .iter()
        .map(|&row| {
            let at = row as usize;
            let gap = gpu.start_ns[at] - end;
            end = end.max(gpu.end_ns(at));
            FlowRow {
                name: short(layers.trace.text(gpu.name[at])),
                category: layers.category(row),
                stream: gpu.stream[at],
                start_us: micros(gpu.start_ns[at] - start),
                dur_us: micros(gpu.dur_ns[at]),
                gap_us: micros(gap),
                share_pct: thousandth(100.0 * gpu.dur_ns[at] as f64 / sum.max(1) as f64),
                grid: gpu.grid[at],
                block: gpu.block[at],
            }
        })
        .collect();
    LayerFlow {
        layer: layer as u32,
        r#type: layers.names[layer].clone(),
        kernels,
    }
}

/// A kernel's role in a layer: its name and which of that name's launches it is.
type Role = (NameId, u32);

/// A role over the layers of a type.
pub(super) struct RoleTime {
    pub name: NameId,
    pub category: KernelCategory,
    pub occurrence: u32,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub layers: u32,
    pub total_ns: i64,
    /// Place in the layer that has it first.
    pub place: usize,
}

impl RoleTime {
    pub fn average_us(&self) -> f64 {
        thousandth(micros(self.total_ns) / f64::from(self.layers.max(1)))
    }
}

/// The roles of a type's kernels in the order of the representative layer;
/// those that the representative lacks come last.
pub(super) fn roles(layers: &Layers<'_>, name: &str) -> Vec<RoleTime> {
    let gpu = &layers.trace.gpu;
    let representative = layers.representative(name);
    let mut order = vec![representative];
    order.extend(
        layers
            .members(name)
            .into_iter()
            .filter(|&layer| layer != representative),
    );
    let mut roles: Vec<RoleTime> = Vec::new();
    let mut known: HashMap<Role, usize> = HashMap::new();
    for layer in order {
        let mut seen: HashMap<NameId, u32> = HashMap::new();
        for &row in layers.rows(layer) {
            let at = row as usize;
            if gpu.kind[at] != GpuKind::Kernel {
                continue;
            }
            let occurrence = seen.entry(gpu.name[at]).or_insert(0);
            *occurrence += 1;
            let place = *known.entry((gpu.name[at], *occurrence)).or_insert_with(|| {
                roles.push(RoleTime {
                    name: gpu.name[at],
                    category: layers.category(row),
                    occurrence: *occurrence,
                    grid: gpu.grid[at],
                    block: gpu.block[at],
                    layers: 0,
                    total_ns: 0,
                    place: roles.len(),
                });
                roles.len() - 1
            });
            if let Some(role) = roles.get_mut(place) {
                role.layers += 1;
                role.total_ns += gpu.dur_ns[at];
            }
        }
    }
    roles
}

/// The kernels that a type spends its time on, the longest first.
pub(super) fn hot_kernels(layers: &Layers<'_>, name: &str) -> Vec<HotKernel> {
    let mut roles = roles(layers, name);
    let total: i64 = roles.iter().map(|role| role.total_ns).sum();
    roles.sort_by_key(|role| (std::cmp::Reverse(role.total_ns), role.place));
    roles
        .into_iter()
        .map(|role| HotKernel {
            r#type: name.to_owned(),
            name: short(layers.trace.text(role.name)),
            category: role.category,
            occurrence: role.occurrence,
            grid: role.grid,
            block: role.block,
            layers: role.layers,
            avg_us: role.average_us(),
            share_pct: thousandth(100.0 * role.total_ns as f64 / total.max(1) as f64),
        })
        .collect()
}
