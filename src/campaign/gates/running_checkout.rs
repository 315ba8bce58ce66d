//! `running_checkout`: the target ran from the checkout at the present tree.

use super::started::short;
use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::events::{BenchmarkLabel, TargetSource};

pub fn running_checkout(state: &State, world: &World) -> GateState {
    let missing = match (newest(state), present(world)) {
        (_, Err(problem)) => vec![problem],
        (None, Ok(_)) => vec!["a benchmark of the target".to_owned()],
        (Some(source), Ok(present)) => problem(source, present).into_iter().collect(),
    };
    GateState::of(
        Gate::RunningCheckout,
        missing,
        "name the checkout in the plan (frameworks.<target>.source with checkout and python), leave HEAD alone while a job runs, and run_benchmark again",
    )
}

/// The present tree, or why there is none.
pub(super) fn present(world: &World) -> Result<&str, String> {
    use crate::campaign::checkout::Checkout;
    match &world.checkout {
        Checkout::None => Err("the campaign was opened without a checkout".to_owned()),
        Checkout::Unreadable { path, reason } => Err(format!("{}: {reason}", path.display())),
        Checkout::Read(head) if head.dirty.is_empty() => Ok(&head.tree),
        Checkout::Read(head) => Err(format!(
            "the working tree is not clean: {}",
            super::preflight::listed(&head.dirty)
        )),
    }
}

/// The source of the newest run of the target that could be evidence.
fn newest(state: &State) -> Option<&TargetSource> {
    let benchmark = state
        .benchmarks
        .iter()
        .rev()
        .find(|ended| ended.body.label != BenchmarkLabel::Smoke)
        .map(|ended| (ended.seq, &ended.body.source));
    let capture = state
        .captures
        .iter()
        .rev()
        .find(|ended| ended.body.framework == state.target())
        .map(|ended| (ended.seq, &ended.body.source));
    benchmark
        .into_iter()
        .chain(capture)
        .max_by_key(|(seq, _)| *seq)
        .map(|(_, source)| source)
}

/// Why a run from this source is no evidence for the present tree.
fn problem(source: &TargetSource, present: &str) -> Option<String> {
    let Some(tree) = source.tree.as_deref() else {
        return Some("the newest run of the target names no source checkout".to_owned());
    };
    if !source.verified || !source.unchanged {
        let why = source.problem.as_deref();
        return Some(format!(
            "the newest run of the target did not run from the checkout to its end: {}",
            why.unwrap_or("no reason recorded")
        ));
    }
    (tree != present).then(|| {
        format!(
            "the newest run of the target measured tree {}, the present one is {}",
            short(tree),
            short(present)
        )
    })
}
