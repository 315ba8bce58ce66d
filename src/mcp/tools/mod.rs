//! The tools, one file each. A tool is listed only when it works.

mod analyze_pipeline;
mod campaign;
mod check_gap;
mod follow;
mod ncu_digest;
mod profile;
mod query_history;
mod run_benchmark;
mod scope;
mod update_ledger;

pub(crate) use profile::capture_in;

use super::tool::Entry;
use crate::fault::{Fault, FaultCode};
use crate::nearest::nearest;

/// Every tool, in the order in which a campaign uses them.
pub fn all() -> Vec<Entry> {
    vec![
        Entry::of::<campaign::Campaign>(),
        Entry::of::<query_history::QueryHistory>(),
        Entry::of::<run_benchmark::RunBenchmark>(),
        Entry::of::<check_gap::CheckGap>(),
        Entry::of::<profile::Profile>(),
        Entry::of::<analyze_pipeline::AnalyzePipeline>(),
        Entry::of::<ncu_digest::NcuDigest>(),
        Entry::of::<update_ledger::UpdateLedger>(),
    ]
}

/// The failure of asking for a tool that does not exist.
pub fn unknown(name: &str) -> Fault {
    let entries = all();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("tools: {}", names.join(", ")),
    };
    Fault::new(
        FaultCode::InvalidArgument,
        format!("there is no tool `{name}`"),
        hint,
    )
}
