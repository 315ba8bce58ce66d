//! The plan of a revalidation: the sealed workload, the target and the sealed
//! leaders, nothing else.

use super::SealFile;
use crate::bench::plan::{Flags, Plan};

/// What a revalidation may change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Flags of a re-searched target command, laid over the sealed ones.
    pub target_flags: Flags,
    /// Sessions of each side; default: as sealed.
    pub repeats: Option<u32>,
}

/// The most sessions that a revalidation runs.
pub const MOST_REPEATS: u32 = 10;

/// Makes the plan; leaders and targets run as the candidates that were sealed.
pub fn revalidation(seal: &SealFile, target: &str, changes: &Changes) -> Plan {
    let mut plan = seal.plan.clone();
    plan.frameworks.retain(|name, _| {
        seal.candidates
            .iter()
            .any(|sealed| sealed.framework == *name)
    });
    for (name, framework) in &mut plan.frameworks {
        framework.enabled = Some(true);
        framework.search_space.clear();
        framework.candidates = seal
            .candidates
            .iter()
            .filter(|sealed| sealed.framework == *name)
            .map(|sealed| {
                let mut id = sealed.id.clone();
                let mut flags = sealed.flags.clone();
                if name == target {
                    for (flag, value) in &changes.target_flags {
                        id.push_str(&format!(",{flag}={value}"));
                        flags.insert(flag.clone(), value.clone());
                    }
                }
                (id, flags)
            })
            .collect();
    }
    if let Some(repeats) = changes.repeats {
        plan.search.repeats = repeats.clamp(1, MOST_REPEATS);
    }
    plan
}
