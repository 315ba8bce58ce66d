//! `kernel`: the kernel matters, and what it must agree with is known.

use super::evidence::{target_pipelines, target_reports};
use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{AttemptTarget, BlockerCause, KernelTarget};

/// A kernel below this share of its stage is not worth an attempt.
const LEAST_SHARE_PCT: f64 = 1.0;

/// A shorter part of a name says too little.
const TELLING: usize = 4;

/// What an attempt is about to change.
#[derive(Debug, Clone, Copy)]
pub struct KernelPlan<'a> {
    pub target: &'a AttemptTarget,
    /// Whether one of its files is CUDA, Triton, CuTe or TileLang source.
    pub touches_kernel_source: bool,
    /// Whether the place where it is wired in exists in the checkout.
    pub wired_in_exists: bool,
}

pub fn kernel(state: &State, world: &World, plan: KernelPlan<'_>) -> GateState {
    let missing = match (&plan.target.kernel, present(world)) {
        (None, _) if !plan.touches_kernel_source => Vec::new(),
        (None, _) => vec![
            "`target.kernel`: the files hold kernel source, so the attempt must name its kernel"
                .to_owned(),
        ],
        (Some(_), Err(problem)) => vec![problem],
        (Some(kernel), Ok(tree)) => lacking(state, world, tree, kernel, plan.wired_in_exists),
    };
    GateState::of(
        Gate::Kernel,
        missing,
        "choose a kernel from the profile's kernel table and the layer's hot kernels, and fill in target.kernel",
    )
}

fn lacking(
    state: &State,
    world: &World,
    tree: &str,
    kernel: &KernelTarget,
    wired_in: bool,
) -> Vec<String> {
    let mut missing = Vec::new();
    let name = kernel.name.trim();
    let share = share_pct(state, world, tree, name);
    if name.len() < TELLING {
        missing.push("`name`: the kernel, or its family, as the tables name it".to_owned());
    } else {
        if share.is_none_or(|share| share < LEAST_SHARE_PCT) {
            missing.push(format!(
                "`{name}` with at least 1% of the slow stage at the present tree; it has {:.2}%",
                share.unwrap_or(0.0)
            ));
        }
        let is_hot = target_pipelines(state, world, tree)
            .flat_map(|pipeline| &pipeline.body.hot_kernels)
            .any(|hot| hot.name.contains(name));
        if !is_hot {
            missing.push(format!("`{name}` among the hot kernels of a layer type"));
        }
    }
    for (field, values) in [
        ("shapes", &kernel.shapes),
        ("dtypes", &kernel.dtypes),
        ("layouts", &kernel.layouts),
    ] {
        if values.iter().all(|value| value.trim().is_empty()) {
            missing.push(format!("`{field}`: those that occur"));
        }
    }
    if kernel.correctness_ref.trim().is_empty() {
        missing.push("`correctness_ref`: what its output must agree with".to_owned());
    }
    if !wired_in {
        missing.push(format!(
            "`wired_in`: {} is no file of the checkout",
            kernel.wired_in.display()
        ));
    }
    if kernel.counter_evidence && !has_counters(state, name) {
        missing.push(format!(
            "counter evidence: an ncu_digest of `{name}` with its next edit, or a seen counter_permission blocker"
        ));
    }
    missing
}

/// The largest share that kernels of that name have in a slow stage.
fn share_pct(state: &State, world: &World, tree: &str, name: &str) -> Option<f64> {
    let slow: Vec<_> = state
        .root_causes
        .iter()
        .filter(|cause| cause.seq > state.round_began())
        .map(|cause| cause.body.stage)
        .collect();
    target_reports(state, world, tree)
        .flat_map(|profile| &profile.body.stages)
        .filter(|stage| slow.is_empty() || slow.contains(&stage.stage))
        .map(|stage| {
            let of_name = stage.kernels.iter().filter(|row| row.name.contains(name));
            of_name.fold(0.0, |sum, row| sum + row.share_pct)
        })
        .max_by(f64::total_cmp)
}

fn has_counters(state: &State, name: &str) -> bool {
    let digested = state.digests.iter().any(|digest| {
        let edit = digest.body.next_edit.as_ref();
        edit.is_some_and(|edit| edit.kernel.contains(name) && !edit.stop)
    });
    digested
        || state
            .blockers
            .iter()
            .any(|blocker| blocker.body.proves(BlockerCause::CounterPermission))
}
