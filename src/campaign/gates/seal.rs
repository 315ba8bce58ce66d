//! `seal`: what was fixed at the first `start_loop` stays.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::BenchmarkLabel;

const NEXT: &str = "run_benchmark {\"label\": \"revalidation\"}, or start anew with campaign {\"action\": \"open\", \"supersedes\": \"...\"}";

/// Whether the seal is whole.
pub fn seal(state: &State, world: &World) -> GateState {
    let missing = state
        .seal
        .iter()
        .flat_map(|seal| world.differences(&seal.files))
        .collect();
    GateState::of(
        Gate::Seal,
        missing,
        "restore benchmark/seal.json, or open a campaign that supersedes this one",
    )
}

/// Whether a benchmark of this workload may run under this label.
pub fn seal_for(state: &State, label: BenchmarkLabel, workload_sha256: &str) -> GateState {
    let mut missing = Vec::new();
    match (&state.seal, label) {
        (_, BenchmarkLabel::Smoke) => {}
        (None, BenchmarkLabel::Revalidation) => {
            missing.push("a seal: the first start_loop writes it".to_owned());
        }
        (None, BenchmarkLabel::Baseline) => {
            let first = state
                .benchmarks_started
                .iter()
                .find(|started| started.body.label == BenchmarkLabel::Baseline);
            if let Some(first) = first
                && first.body.workload_sha256 != workload_sha256
            {
                missing.push(changed(&format!("baseline job {}", first.body.job_id)));
            }
        }
        (Some(seal), BenchmarkLabel::Baseline) => {
            if seal.body.workload_sha256 != workload_sha256 {
                missing.push(changed("the seal"));
            }
            missing.push("the baseline is sealed: revalidation measures it again".to_owned());
        }
        (Some(seal), BenchmarkLabel::Revalidation) => {
            if seal.body.workload_sha256 != workload_sha256 {
                missing.push(changed("the seal"));
            }
        }
    }
    GateState::of(Gate::Seal, missing, NEXT)
}

fn changed(than: &str) -> String {
    format!("workload_changed: model, data set, load, sampling or SLA are not those of {than}")
}
