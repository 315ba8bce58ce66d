//! Two engines at the same stage: which class of work costs whom how much.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::kernel::{KernelId, Kernels};
use super::loaded::Loaded;
use super::record::{ClassComparison, CompareSide, OpClass, StageComparison, Winner};
use super::role::classes;
use super::timeline::Timeline;
use super::units::{percent, rounded};
use super::wall::{Accounts, StepWindow};
use crate::trace::{GpuKind, Stage, Step, StepShape};

/// Kernels named for a class on each side.
const MOST_KERNELS: usize = 3;

/// One engine's trace with its accounts.
pub(super) struct Side<'l> {
    pub loaded: &'l Loaded,
    pub kernels: &'l Kernels,
    pub timeline: &'l Timeline,
    pub by_step: &'l [(StepWindow, Accounts)],
    pub framework: Option<String>,
}

/// A side's steps of one stage and shape.
struct Sample {
    steps: f64,
    wall_us: f64,
    busy_us: f64,
    kernels: f64,
    class_us: BTreeMap<OpClass, f64>,
    heaviest: BTreeMap<OpClass, Vec<String>>,
}

/// Compares a stage; `None` where a side has none of it.
pub(super) fn compare_stage(
    input: &Side<'_>,
    other: &Side<'_>,
    stage: Stage,
) -> Option<StageComparison> {
    let has = |side: &Side<'_>| side.steps(stage, None).next().is_some();
    if !has(input) || !has(other) {
        return None;
    }
    let shape = common_shape(input, other, stage);
    let (a, b) = (input.sample(stage, shape), other.sample(stage, shape));
    let gap_us = a.wall_us - b.wall_us;
    let names: std::collections::BTreeSet<OpClass> = a
        .class_us
        .keys()
        .chain(b.class_us.keys())
        .copied()
        .collect();
    let mut classes: Vec<ClassComparison> = names
        .into_iter()
        .map(|class| class_comparison(class, &a, &b, gap_us))
        .collect();
    classes.sort_by(|x, y| y.difference_us.abs().total_cmp(&x.difference_us.abs()));
    Some(StageComparison {
        stage,
        input: input.side(&a),
        compare: other.side(&b),
        matched_on: match shape {
            Some(Key { batch, tokens }) => [
                batch.map(|batch| format!("batch {batch}")),
                tokens.map(|tokens| format!("about {tokens} tokens")),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
            None => "all steps of the stage: no shape occurs on both sides".into(),
        },
        gap_us: rounded(gap_us, 3),
        gap_pct: rounded(percent(gap_us, b.wall_us), 2),
        classes,
    })
}

fn class_comparison(class: OpClass, a: &Sample, b: &Sample, gap_us: f64) -> ClassComparison {
    let time = |sample: &Sample| sample.class_us.get(&class).copied().unwrap_or(0.0);
    let (input_us, compare_us) = (time(a), time(b));
    let difference = input_us - compare_us;
    let even = difference.abs() < 1.0 || difference.abs() < 0.01 * input_us.max(compare_us);
    let names = |sample: &Sample| sample.heaviest.get(&class).cloned().unwrap_or_default();
    ClassComparison {
        class,
        input_us: rounded(input_us, 3),
        compare_us: rounded(compare_us, 3),
        difference_us: rounded(difference, 3),
        winner: match even {
            true => Winner::Even,
            false if difference < 0.0 => Winner::Input,
            false => Winner::Compare,
        },
        gap_share_pct: if gap_us == 0.0 {
            0.0
        } else {
            rounded(difference / gap_us * 100.0, 1)
        },
        input_kernels: names(a),
        compare_kernels: names(b),
    }
}

/// What two steps must share to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    batch: Option<u32>,
    /// Rounded to two digits, as engines split a prompt by a token more or less.
    tokens: Option<u32>,
}

impl Key {
    fn of(stage: Stage, shape: &StepShape) -> Self {
        Self {
            batch: shape.batch,
            tokens: shape
                .tokens
                .filter(|_| stage != Stage::Decode)
                .map(two_digits),
        }
    }
}

fn two_digits(count: u32) -> u32 {
    let mut scale = 1;
    while count / scale >= 100 {
        scale *= 10;
    }
    (f64::from(count) / f64::from(scale)).round() as u32 * scale
}

/// The shape on both sides in which most time was spent.
fn common_shape(input: &Side<'_>, other: &Side<'_>, stage: Stage) -> Option<Key> {
    let time = |side: &Side<'_>| {
        let mut time: HashMap<Key, i64> = HashMap::new();
        for (step, accounts) in side.steps(stage, None) {
            *time.entry(Key::of(stage, &step.shape)).or_default() += accounts.busy_ns;
        }
        time
    };
    let (a, b) = (time(input), time(other));
    a.iter()
        .filter(|(key, _)| key.batch.is_some() || key.tokens.is_some())
        .filter_map(|(&key, &ns)| Some(((*b.get(&key)?).min(ns), key)))
        .max()
        .map(|(_, key)| key)
}

impl Side<'_> {
    fn steps(&self, stage: Stage, key: Option<Key>) -> impl Iterator<Item = (&Step, &Accounts)> {
        self.by_step.iter().filter_map(move |(window, accounts)| {
            let step = self.loaded.steps.get(window.step)?;
            let fits =
                step.stage == stage && key.is_none_or(|key| Key::of(stage, &step.shape) == key);
            fits.then_some((step, accounts))
        })
    }

    fn sample(&self, stage: Stage, key: Option<Key>) -> Sample {
        let mut steps = 0.0;
        let mut sum = Accounts::default();
        let mut kernels = 0usize;
        let mut class_ns: BTreeMap<OpClass, f64> = BTreeMap::new();
        let mut by_kernel: HashMap<(OpClass, KernelId), f64> = HashMap::new();
        for (step, accounts) in self.steps(stage, key) {
            steps += 1.0;
            sum.wall_ns += accounts.wall_ns;
            sum.busy_ns += accounts.busy_ns;
            kernels += self.tally(step, &mut class_ns, &mut by_kernel);
        }
        // Work of other steps may run in these windows, and theirs outside:
        // what the classes do not cover is put right against the busy time.
        let covered: f64 = class_ns.values().sum();
        *class_ns.entry(OpClass::Other).or_default() += sum.busy_ns as f64 - covered;
        *class_ns.entry(OpClass::Idle).or_default() += sum.idle_ns() as f64;
        let mut sample = Sample {
            steps,
            wall_us: sum.wall_ns as f64 / steps / 1000.0,
            busy_us: sum.busy_ns as f64 / steps / 1000.0,
            kernels: kernels as f64 / steps,
            class_us: class_ns
                .into_iter()
                .map(|(class, ns)| (class, ns / steps / 1000.0))
                .collect(),
            heaviest: BTreeMap::new(),
        };
        sample.heaviest = self.heaviest(by_kernel);
        sample
    }

    /// Adds a step's work to its classes and gives back its kernels' number.
    fn tally(
        &self,
        step: &Step,
        class_ns: &mut BTreeMap<OpClass, f64>,
        by_kernel: &mut HashMap<(OpClass, KernelId), f64>,
    ) -> usize {
        let gpu = &self.loaded.trace.gpu;
        let (mut rows, mut categories) = (Vec::new(), Vec::new());
        for &row in &step.gpu {
            let row = row as usize;
            let ns = self.timeline.overlap[row].even_ns;
            match gpu.kind[row] {
                GpuKind::Kernel => {
                    rows.push(row);
                    categories.push(self.loaded.category(row));
                }
                GpuKind::Memcpy | GpuKind::Memset => {
                    *class_ns.entry(OpClass::Other).or_default() += ns;
                }
            }
        }
        for (&row, class) in rows.iter().zip(classes(&categories)) {
            let ns = self.timeline.overlap[row].even_ns;
            *class_ns.entry(class).or_default() += ns;
            *by_kernel
                .entry((class, self.loaded.kernel(row)))
                .or_default() += ns;
        }
        rows.len()
    }

    fn heaviest(
        &self,
        by_kernel: HashMap<(OpClass, KernelId), f64>,
    ) -> BTreeMap<OpClass, Vec<String>> {
        let mut ordered: Vec<_> = by_kernel.into_iter().collect();
        ordered.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut heaviest: BTreeMap<OpClass, Vec<String>> = BTreeMap::new();
        let mut named = HashSet::new();
        for ((class, kernel), _) in ordered {
            let names = heaviest.entry(class).or_default();
            let Some(kernel) = self.kernels.get(kernel) else {
                continue;
            };
            if names.len() < MOST_KERNELS && named.insert((class, kernel.short.clone())) {
                names.push(kernel.short.clone());
            }
        }
        heaviest
    }

    fn side(&self, sample: &Sample) -> CompareSide {
        CompareSide {
            framework: self.framework.clone(),
            steps: sample.steps as u32,
            wall_us: rounded(sample.wall_us, 3),
            busy_us: rounded(sample.busy_us, 3),
            kernels: rounded(sample.kernels, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_a_token_apart_are_of_one_shape() {
        assert_eq!(two_digits(4000), two_digits(4001));
        assert_eq!(two_digits(64), 64);
        assert_ne!(two_digits(4000), two_digits(4200));
        assert_eq!(two_digits(0), 0);
    }
}
