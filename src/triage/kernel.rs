//! Kernel names over several traces: one number for each, and its kin.

use std::collections::HashMap;

use crate::trace::{KernelCategory, Trace, canonical, categorize, short};

/// Number of a kernel name in [`Kernels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct KernelId(u32);

impl KernelId {
    /// The position in a column with one entry for each kernel.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One kernel name.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub name: String,
    pub short: String,
    /// The name in lower case, for tables that look for words.
    pub lowercase: String,
    pub category: KernelCategory,
    /// Kernels that differ only in tile shapes and counters share a family.
    family: u32,
}

/// Every kernel name of an analysis.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    kernels: Vec<Kernel>,
    by_name: HashMap<String, KernelId>,
    families: HashMap<String, u32>,
}

impl Kernels {
    /// Numbers the kernel names of a trace: the kernel of each string handle
    /// that a GPU row uses.
    pub fn number(&mut self, trace: &Trace) -> Vec<KernelId> {
        let mut ids = vec![None; trace.strings.len()];
        for &name in &trace.gpu.name {
            let slot = &mut ids[name.row()];
            if slot.is_none() {
                *slot = Some(self.add(trace.text(name)));
            }
        }
        ids.into_iter().map(Option::unwrap_or_default).collect()
    }

    pub fn get(&self, id: KernelId) -> Option<&Kernel> {
        self.kernels.get(id.0 as usize)
    }

    /// Every kernel, in the order of its number.
    pub fn iter(&self) -> impl Iterator<Item = &Kernel> {
        self.kernels.iter()
    }

    pub fn category(&self, id: KernelId) -> KernelCategory {
        self.get(id)
            .map_or(KernelCategory::Other, |kernel| kernel.category)
    }

    /// How alike two kernels are: 8 the same, 4 of one family, 1 of one
    /// category that a layer has few of, 0 otherwise.
    pub fn likeness(&self, a: KernelId, b: KernelId) -> u8 {
        if a == b {
            return 8;
        }
        let (Some(a), Some(b)) = (self.get(a), self.get(b)) else {
            return 0;
        };
        if a.family == b.family {
            4
        } else {
            u8::from(a.category == b.category && is_telling(a.category))
        }
    }

    fn add(&mut self, name: &str) -> KernelId {
        let name = canonical(name);
        if let Some(&id) = self.by_name.get(&name) {
            return id;
        }
        let id = KernelId(u32::try_from(self.kernels.len()).unwrap_or(u32::MAX));
        let short = short(&name);
        let category = categorize(&name);
        let stem = format!("{} {}", category.as_str(), stem(&short));
        let next = u32::try_from(self.families.len()).unwrap_or(u32::MAX);
        let family = *self.families.entry(stem).or_insert(next);
        self.kernels.push(Kernel {
            lowercase: name.to_lowercase(),
            name: name.clone(),
            short,
            category,
            family,
        });
        self.by_name.insert(name, id);
        id
    }
}

/// A short name up to its first number: `nvjet_sm` for all of cuBLASLt's tiles.
fn stem(short: &str) -> &str {
    let end = short
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(short.len());
    &short[..end]
}

fn is_telling(category: KernelCategory) -> bool {
    !matches!(
        category,
        KernelCategory::Other
            | KernelCategory::Memory
            | KernelCategory::Elementwise
            | KernelCategory::Reduction
            | KernelCategory::BatchPrep
    )
}
