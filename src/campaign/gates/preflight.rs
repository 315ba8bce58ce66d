//! `preflight`: the checkout is ready for the loop.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::checkout::Checkout;

/// `base_branch` is the branch that the loop will compare with, where one is named.
pub fn preflight(_state: &State, world: &World, base_branch: Option<&str>) -> GateState {
    let mut missing = Vec::new();
    match &world.checkout {
        Checkout::None => {
            missing.push("a checkout: the campaign was opened without one".to_owned())
        }
        Checkout::Unreadable { path, reason } => {
            missing.push(format!("{}: {reason}", path.display()));
        }
        Checkout::Read(head) => {
            if !head.dirty.is_empty() {
                missing.push(format!("a clean tree: {}", listed(&head.dirty)));
            }
            if head.branch.is_none() {
                missing.push("a named branch: HEAD is detached".to_owned());
            }
            if let Some(base) = base_branch
                && !head.branches.iter().any(|branch| branch == base)
            {
                missing.push(format!("a local branch `{base}`"));
            }
            if !head.tracked_humanize.is_empty() {
                missing.push(format!(
                    "`.humanize*` untracked: git tracks {}",
                    listed(&head.tracked_humanize)
                ));
            }
        }
    }
    for active in &world.active_loops {
        missing.push(format!(
            "no active loop: {} is one",
            active.state_path.display()
        ));
    }
    GateState::of(
        Gate::Preflight,
        missing,
        "mend the checkout with git, then campaign {\"action\": \"start_loop\"}",
    )
}

/// At most five, with the number of the others.
pub(super) fn listed(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = items.get(..SHOWN.min(items.len())).unwrap_or_default();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
