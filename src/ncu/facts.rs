//! A kernel's quantities, computed from whichever metrics the report holds.
//!
//! Their definitions are data: `references/ncu-metrics.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::NcuError;
use super::group::{Group, median};
use crate::references;

const BUILT_IN: &str = include_str!("../../references/ncu-metrics.toml");

/// Why the user's definitions cannot be used.
pub(super) fn problem() -> Option<String> {
    let error = Definitions::load().err()?;
    Some(error.to_string())
}

/// The definitions of all quantities.
#[derive(Debug, Deserialize)]
pub(super) struct Definitions {
    stalls: Vec<StallFamily>,
    #[serde(flatten)]
    quantities: BTreeMap<String, Definition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    unit: String,
    section: String,
    #[serde(default)]
    headline: bool,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    arch: BTreeMap<String, Vec<String>>,
    ratio: Option<Ratio>,
    #[serde(default)]
    sum: Vec<String>,
    #[serde(default)]
    product: Vec<String>,
    #[serde(default)]
    max: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratio {
    of: String,
    by: String,
    #[serde(default = "one")]
    scale: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StallFamily {
    prefix: String,
    suffix: String,
    total: Option<String>,
}

impl Definitions {
    pub fn load() -> Result<Self, NcuError> {
        Ok(references::load("ncu-metrics.toml", BUILT_IN)?)
    }

    /// Whether a condition may speak of it.
    pub fn knows(&self, quantity: &str) -> bool {
        self.quantities.contains_key(quantity)
            || quantity == "tail_waste_pct"
            || ["stall.", "top.", "limited_by."]
                .iter()
                .any(|prefix| quantity.starts_with(prefix))
    }

    /// The section that collects a quantity, and the metric names that hold it.
    pub fn source(&self, quantity: &str) -> (&str, Vec<&str>) {
        let quantity = match quantity.split_once('.') {
            Some(("stall" | "top", _)) => "warp_latency",
            Some(("limited_by", _)) => "limit_blocks",
            _ if quantity == "tail_waste_pct" => "waves",
            _ => quantity,
        };
        let Some(definition) = self.quantities.get(quantity) else {
            return ("", Vec::new());
        };
        let mut names: Vec<_> = definition.names.iter().map(String::as_str).collect();
        if let Some(ratio) = &definition.ratio {
            names.extend(self.source(&ratio.of).1);
            names.extend(self.source(&ratio.by).1);
        }
        for part in definition
            .sum
            .iter()
            .chain(&definition.product)
            .chain(&definition.max)
        {
            names.extend(self.source(part).1);
        }
        (&definition.section, names)
    }

    /// Every quantity that the group's metrics give.
    pub fn facts(&self, group: &Group) -> Facts {
        let mut facts = Facts::default();
        let major = group
            .launch()
            .map_or(0, |launch| launch.compute_capability.0);
        for name in self.quantities.keys() {
            self.resolve(name, major, group, &mut facts, 0);
        }
        self.stalls(group, &mut facts);
        derive_limiter(&mut facts);
        derive_tail(&mut facts);
        facts
    }

    fn resolve(
        &self,
        name: &str,
        major: u32,
        group: &Group,
        facts: &mut Facts,
        depth: u8,
    ) -> Option<f64> {
        if let Some(fact) = facts.get(name) {
            return Some(fact.value);
        }
        // Definitions that go round in a circle end here.
        if depth > 8 {
            return None;
        }
        let definition = self.quantities.get(name)?;
        let (value, metric) = self.compute(definition, major, group, facts, depth)?;
        facts.set(
            name,
            Fact {
                value,
                metric,
                unit: definition.unit.clone(),
                headline: definition.headline,
            },
        );
        Some(value)
    }

    fn compute(
        &self,
        definition: &Definition,
        major: u32,
        group: &Group,
        facts: &mut Facts,
        depth: u8,
    ) -> Option<(f64, String)> {
        let by_arch = definition.arch.get(&major.to_string());
        for metric in by_arch.into_iter().flatten().chain(&definition.names) {
            if let Some(value) = group.value(metric) {
                return Some((value, metric.clone()));
            }
        }
        let mut part = |name: &str| {
            let value = self.resolve(name, major, group, facts, depth + 1)?;
            Some((
                value,
                facts
                    .get(name)
                    .map_or_else(String::new, |fact| fact.metric.clone()),
            ))
        };
        if let Some(ratio) = &definition.ratio {
            let (of, of_metric) = part(&ratio.of)?;
            let (by, by_metric) = part(&ratio.by)?;
            let value = if by == 0.0 {
                0.0
            } else {
                of / by * ratio.scale
            };
            let bracket = |formula: String| {
                if formula.contains(' ') {
                    format!("({formula})")
                } else {
                    formula
                }
            };
            return Some((
                value,
                format!("{} / {}", bracket(of_metric), bracket(by_metric)),
            ));
        }
        if !definition.max.is_empty() {
            return definition
                .max
                .iter()
                .filter_map(|name| part(name))
                .max_by(|a, b| a.0.total_cmp(&b.0));
        }
        let (parts, sign, start, fold): (_, _, _, fn(f64, f64) -> f64) =
            if definition.sum.is_empty() {
                (&definition.product, " * ", 1.0, |a, b| a * b)
            } else {
                (&definition.sum, " + ", 0.0, |a, b| a + b)
            };
        let parts: Vec<_> = parts.iter().map(|name| part(name)).collect::<Option<_>>()?;
        if parts.is_empty() {
            return None;
        }
        let value = parts.iter().map(|(value, _)| *value).fold(start, fold);
        let metric = parts
            .into_iter()
            .map(|(_, metric)| metric)
            .collect::<Vec<_>>()
            .join(sign);
        Some((value, metric))
    }

    fn stalls(&self, group: &Group, facts: &mut Facts) {
        for family in &self.stalls {
            let shares = family.shares(group);
            if shares.is_empty() {
                continue;
            }
            let top = shares
                .iter()
                .filter(|(reason, ..)| !is_progress(reason))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(reason, ..)| reason.clone());
            for (reason, share, metric) in shares {
                let is_top = Some(&reason) == top.as_ref();
                facts.flag(&format!("top.{reason}"), is_top, &metric);
                let fact = Fact {
                    value: share,
                    metric,
                    unit: "%".to_string(),
                    headline: false,
                };
                facts.set(&format!("stall.{reason}"), fact);
            }
            return;
        }
    }
}

impl StallFamily {
    /// Reason, share of warp latency in percent, and the metric.
    fn shares(&self, group: &Group) -> Vec<(String, f64, String)> {
        let Some(launch) = group.launch() else {
            return Vec::new();
        };
        launch
            .metrics
            .iter()
            .filter_map(|(name, _)| {
                let reason = name
                    .strip_prefix(&self.prefix)?
                    .strip_suffix(&self.suffix)?;
                if reason.is_empty() || reason.contains("not_issued") || reason.contains('.') {
                    return None;
                }
                let share = median(
                    group
                        .launches
                        .iter()
                        .filter_map(|launch| {
                            let value = launch.value(name)?;
                            match &self.total {
                                Some(total) => Some(value / launch.value(total)? * 100.0),
                                None => Some(value),
                            }
                        })
                        .filter(|share| share.is_finite())
                        .collect(),
                )?;
                let metric = match &self.total {
                    Some(total) => format!("{name} / {total}"),
                    None => name.to_string(),
                };
                Some((stall_name(reason).to_string(), share, metric))
            })
            .collect()
    }
}

/// The sampler's names for two reasons differ from the counters'.
fn stall_name(reason: &str) -> &str {
    match reason {
        "no_instructions" => "no_instruction",
        "warpgroup_arrive" => "gmma",
        other => other,
    }
}

/// States of a warp that issues or could issue: no stall.
pub(super) fn is_progress(reason: &str) -> bool {
    matches!(reason, "selected" | "not_selected")
}

fn derive_limiter(facts: &mut Facts) {
    const RESOURCES: [&str; 5] = ["warps", "registers", "shared_mem", "blocks", "barriers"];
    let limits: Vec<_> = RESOURCES
        .iter()
        .filter_map(|&resource| Some((resource, facts.get(&format!("limit_{resource}"))?.clone())))
        .filter(|(_, limit)| limit.value > 0.0)
        .collect();
    // On a tie the resource that stands first counts: warps mean full occupancy.
    let lowest = limits
        .iter()
        .map(|(_, limit)| limit.value)
        .fold(f64::INFINITY, f64::min);
    let mut found = false;
    for (resource, limit) in limits {
        let limiting = !found && limit.value <= lowest;
        found |= limiting;
        facts.flag(&format!("limited_by.{resource}"), limiting, &limit.metric);
    }
}

/// The idle share of the block slots of a grid that does not fill its last wave.
fn derive_tail(facts: &mut Facts) {
    let Some(waves) = facts
        .get("waves")
        .filter(|waves| waves.value > 0.0)
        .cloned()
    else {
        return;
    };
    let whole = waves.value.ceil();
    facts.set(
        "tail_waste_pct",
        Fact {
            value: (1.0 - waves.value / whole) * 100.0,
            metric: format!("1 - {0} / ceil({0})", waves.metric),
            unit: "%".to_string(),
            headline: false,
        },
    );
}

/// One quantity's value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    pub value: f64,
    /// The metric, or the formula over metrics.
    pub metric: String,
    pub unit: String,
    pub headline: bool,
}

/// Quantity to fact; what is absent was not collected.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    by_name: BTreeMap<String, Fact>,
}

impl Facts {
    pub fn get(&self, quantity: &str) -> Option<&Fact> {
        self.by_name.get(quantity)
    }

    pub fn value(&self, quantity: &str) -> Option<f64> {
        self.get(quantity).map(|fact| fact.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.by_name
            .iter()
            .map(|(name, fact)| (name.as_str(), fact))
    }

    fn set(&mut self, name: &str, fact: Fact) {
        self.by_name.insert(name.to_string(), fact);
    }

    fn flag(&mut self, name: &str, on: bool, metric: &str) {
        let fact = Fact {
            value: f64::from(u8::from(on)),
            metric: metric.to_string(),
            unit: String::new(),
            headline: false,
        };
        self.set(name, fact);
    }

    /// A value as it reads in a sentence.
    pub fn shown(&self, quantity: &str) -> String {
        self.get(quantity).map_or_else(
            || "unknown".to_string(),
            |fact| show(fact.value, &fact.unit),
        )
    }
}

/// A value with as many digits as help, and its unit where it is short.
pub(super) fn show(value: f64, unit: &str) -> String {
    let number = if value.abs() >= 1000.0 {
        group_digits(value)
    } else if value.fract() == 0.0 || value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    match unit {
        "%" => format!("{number} %"),
        "byte/block" | "byte" => format!("{number} bytes"),
        _ => number,
    }
}

fn group_digits(value: f64) -> String {
    let plain = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 {
        format!("-{grouped}")
    } else {
        grouped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_definition_exists() {
        let definitions = Definitions::load().unwrap();
        for (name, definition) in &definitions.quantities {
            let ratio = definition
                .ratio
                .iter()
                .flat_map(|ratio| [&ratio.of, &ratio.by]);
            for part in definition
                .sum
                .iter()
                .chain(&definition.product)
                .chain(&definition.max)
                .chain(ratio)
            {
                assert!(
                    definitions.quantities.contains_key(part),
                    "{name} needs {part}"
                );
            }
            assert!(
                !definitions.source(name).1.is_empty(),
                "{name} has no metric"
            );
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(show(58_720_256.0, "sector"), "58,720,256");
        assert_eq!(show(77.7777, "%"), "77.8 %");
        assert_eq!(show(0.257, "inst/cycle"), "0.26");
        assert_eq!(show(132.0, "SM"), "132");
        assert_eq!(show(204_800.0, "byte/block"), "204,800 bytes");
    }
}
