//! A kernel's place under the roofs of its device.
//!
//! The roofline model of Williams, Waterman and Patterson (2009), with DRAM as
//! the memory. A kernel that computes on several paths stands on the one of
//! whose peak it reaches most. Which metrics hold the rates is data:
//! `references/ncu-roofs.toml`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group::Group;
use crate::references::Catalogue;

pub(super) static ROOFS: Catalogue<Table> = Catalogue::new(
    "ncu-roofs.toml",
    include_str!("../../references/ncu-roofs.toml"),
);

/// Achieved rates and the peaks above them, at the clocks of the launch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Roofline {
    /// `fp32`, `tensor bf16` and the like; absent when no operation was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Tera-operations a second on that path.
    pub tops: f64,
    /// Its peak.
    pub peak_tops: f64,
    /// DRAM traffic in terabytes a second.
    pub dram_tbps: f64,
    /// DRAM's peak.
    pub peak_dram_tbps: f64,
}

impl Roofline {
    /// Operations for each byte of DRAM traffic.
    pub fn intensity(&self) -> f64 {
        self.tops / self.dram_tbps
    }

    /// Share of the lower of the two roofs above it, in percent; of DRAM's alone
    /// when no operation was counted.
    pub fn of_roof_pct(&self) -> f64 {
        let dram = self.dram_tbps / self.peak_dram_tbps.max(f64::MIN_POSITIVE);
        match self.path {
            Some(_) => 100.0 * dram.max(self.tops / self.peak_tops),
            None => 100.0 * dram,
        }
    }

    /// The place of equal launches; nothing when the report lacks DRAM's rates.
    pub(super) fn of(group: &Group) -> Option<Self> {
        let table = ROOFS.table();
        let dram = table.dram.as_ref()?;
        let (dram_tbps, peak_dram_tbps) = (
            group.value(&dram.bytes_per_s)? / TERA,
            group.value(&dram.peak_bytes)? * group.value(&dram.peak_hz)? / TERA,
        );
        let core = table.core.iter().filter_map(|path| path.rates(group));
        let tensor = table.tensor.iter().filter_map(|path| path.rates(group));
        let (path, tops, peak_tops) = core
            .chain(tensor)
            .filter(|(_, ops, peak)| *ops > 0.0 && *peak > 0.0)
            .max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)))
            .map_or((None, 0.0, 0.0), |(name, ops, peak)| {
                (Some(name.to_owned()), ops / TERA, peak / TERA)
            });
        let digits = |value: f64| format!("{value:.4e}").parse().unwrap_or(value);
        Some(Self {
            path,
            tops: digits(tops),
            peak_tops: digits(peak_tops),
            dram_tbps: digits(dram_tbps),
            peak_dram_tbps: digits(peak_dram_tbps),
        })
    }
}

const TERA: f64 = 1e12;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    dram: Option<Dram>,
    core: Vec<CorePath>,
    tensor: Vec<TensorPath>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dram {
    bytes_per_s: String,
    peak_bytes: String,
    peak_hz: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CorePath {
    name: String,
    hz: String,
    counts: Vec<Count>,
    peak: Count,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    metric: String,
    ops: f64,
}

impl Count {
    fn of(&self, group: &Group) -> Option<f64> {
        Some(self.ops * group.value(&self.metric)?)
    }
}

impl CorePath {
    /// Name, operations a second, and their peak.
    fn rates(&self, group: &Group) -> Option<(&str, f64, f64)> {
        let hz = group.value(&self.hz)?;
        let counts: Option<Vec<f64>> = self.counts.iter().map(|count| count.of(group)).collect();
        let ops: f64 = counts?.iter().sum();
        Some((&self.name, ops * hz, self.peak.of(group)? * hz))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorPath {
    name: String,
    ops: String,
    peak_ops: String,
}

impl TensorPath {
    fn rates(&self, group: &Group) -> Option<(&str, f64, f64)> {
        Some((
            &self.name,
            group.value(&self.ops)?,
            group.value(&self.peak_ops)?,
        ))
    }
}
