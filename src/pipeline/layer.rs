//! The layers of one pass, measured and grouped into types.

use std::collections::BTreeMap;

use super::config::ModelConfig;
use super::label::{self, Kernel};
use super::pass::{Pass, Wall};
use super::record::{ConfigCheck, LayerRow, LayerType};
use super::search::Found;
use super::steady::median;
use super::types::types;
use super::units::{from_first, micros, thousandth};
use crate::trace::{CategoryColumn, GpuKind, KernelCategory, Trace};

/// The layers of a pass.
pub(super) struct Layers<'a> {
    pub trace: &'a Trace,
    pub categories: &'a CategoryColumn,
    pub found: &'a Found,
    pub walls: Vec<Wall>,
    /// Type name of each layer.
    pub names: Vec<String>,
    pub check: Option<ConfigCheck>,
    pass_ns: i64,
}

impl<'a> Layers<'a> {
    pub fn new(
        trace: &'a Trace,
        categories: &'a CategoryColumn,
        pass: &'a Pass,
        found: &'a Found,
        config: Option<&ModelConfig>,
    ) -> Self {
        let kernels: Vec<Vec<Kernel<'_>>> = found
            .layers
            .iter()
            .map(|rows| {
                let of = |&row: &u32| {
                    let name = trace.gpu.name[row as usize];
                    (categories.of(name), trace.text(name))
                };
                rows.iter().map(of).collect()
            })
            .collect();
        let traits = label::traits(&kernels);
        let types = label::told_apart(&types(&found.kernels), &traits);
        let (names, check) = label::names(&types, &traits, config);
        Self {
            trace,
            categories,
            found,
            walls: found
                .layers
                .iter()
                .map(|rows| Wall::of(trace, rows))
                .collect(),
            names,
            check,
            pass_ns: pass.wall.wall_ns(),
        }
    }

    pub fn len(&self) -> usize {
        self.walls.len()
    }

    /// GPU rows of a layer, copies included.
    pub fn rows(&self, layer: usize) -> &'a [u32] {
        &self.found.layers[layer]
    }

    /// The category of a GPU row; copies and fills are memory.
    pub fn category(&self, row: u32) -> KernelCategory {
        match self.trace.gpu.kind[row as usize] {
            GpuKind::Kernel => self.categories.of(self.trace.gpu.name[row as usize]),
            _ => KernelCategory::Memory,
        }
    }

    pub fn layer_row(&self, layer: usize) -> LayerRow {
        let wall = &self.walls[layer];
        LayerRow {
            index: layer as u32,
            r#type: self.names[layer].clone(),
            start_us: from_first(self.trace, wall.start_ns),
            wall_us: micros(wall.wall_ns()),
            sum_us: micros(wall.sum_ns),
            idle_us: micros(wall.idle_ns()),
            kernels: wall.kernels,
            by_category: self.by_category(&[layer]),
        }
    }

    /// Average sums of the kernels' durations over some layers.
    fn by_category(&self, layers: &[usize]) -> BTreeMap<KernelCategory, f64> {
        let mut sums: BTreeMap<KernelCategory, i64> = BTreeMap::new();
        for &layer in layers {
            for &row in self.rows(layer) {
                if self.trace.gpu.kind[row as usize] == GpuKind::Kernel {
                    *sums.entry(self.category(row)).or_insert(0) +=
                        self.trace.gpu.dur_ns[row as usize];
                }
            }
        }
        let average = |ns: i64| thousandth(micros(ns) / layers.len().max(1) as f64);
        sums.into_iter()
            .map(|(category, ns)| (category, average(ns)))
            .collect()
    }

    /// Type names in order of first appearance.
    pub fn type_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.names {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    pub fn members(&self, name: &str) -> Vec<usize> {
        (0..self.len())
            .filter(|&layer| self.names[layer] == name)
            .collect()
    }

    pub fn layer_type(&self, name: &str) -> LayerType {
        let members = self.members(name);
        let sum = |part: fn(&Wall) -> i64| -> i64 {
            members.iter().map(|&layer| part(&self.walls[layer])).sum()
        };
        let average = |ns: i64| thousandth(micros(ns) / members.len().max(1) as f64);
        let representative = self.representative(name);
        let wall = sum(Wall::wall_ns);
        LayerType {
            r#type: name.to_owned(),
            count: members.len() as u32,
            avg_wall_us: average(wall),
            avg_sum_us: average(sum(|wall| wall.sum_ns)),
            avg_idle_us: average(sum(Wall::idle_ns)),
            kernels: self.usual_kernels(&members),
            representative: representative as u32,
            pass_share_pct: thousandth(100.0 * wall as f64 / self.pass_ns.max(1) as f64),
            by_category: self.by_category(&members),
            members: label::ranges(members.into_iter()),
        }
    }

    /// How many kernels most layers of a type have.
    fn usual_kernels(&self, members: &[usize]) -> u32 {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &layer in members {
            *counts.entry(self.walls[layer].kernels).or_insert(0) += 1;
        }
        let most = counts.into_iter().max_by_key(|&(_, count)| count);
        most.map_or(0, |(kernels, _)| kernels)
    }

    /// Of the layers that have as many kernels as most of their type, the one
    /// whose wall time is nearest their median; the first and last layer of
    /// the pass only where there is no other.
    pub fn representative(&self, name: &str) -> usize {
        let mut members = self.members(name);
        let usual = self.usual_kernels(&members);
        members.retain(|&layer| self.walls[layer].kernels == usual);
        let inner = |layer: &usize| *layer > 0 && *layer + 1 < self.len();
        if members.iter().any(inner) {
            members.retain(inner);
        }
        let wall = |layer: usize| self.walls[layer].wall_ns() as f64;
        let middle = median(members.iter().map(|&layer| wall(layer)).collect());
        members
            .into_iter()
            .min_by(|&a, &b| {
                (wall(a) - middle)
                    .abs()
                    .total_cmp(&(wall(b) - middle).abs())
            })
            .unwrap_or(0)
    }
}
