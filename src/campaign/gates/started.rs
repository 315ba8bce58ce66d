//! `started`: exactly one loop runs, set up as it should be. And
//! `unclaimed_change`: commits belong to an open attempt.

use super::{Gate, GateState, World};
use crate::campaign::State;
use crate::campaign::checkout::Checkout;
use crate::campaign::events::{LoopRuntime, LoopStarted};

pub fn started(state: &State, world: &World) -> GateState {
    let mut missing = Vec::new();
    let mut next = "campaign {\"action\": \"start_loop\"}";
    if state.is_finished() {
        missing.push("finished: the campaign is over".to_owned());
        next = "campaign {\"action\": \"open\", \"supersedes\": \"...\"}";
    } else if state.is_paused() {
        missing.push("paused: the loop rests".to_owned());
        next = "campaign {\"action\": \"resume\"}";
    } else if world.active_loops.len() > 1 {
        let paths: Vec<String> = world
            .active_loops
            .iter()
            .map(|active| active.state_path.display().to_string())
            .collect();
        missing.push(format!("second_loop: {}", paths.join(" and ")));
        next = "end all loops but one, then call again";
    } else if let Some(recorded) = state.current_loop().filter(|_| state.in_loop()) {
        missing = problems(&recorded.body, world);
        missing.extend(
            world
                .differences(&recorded.files)
                .into_iter()
                .map(|difference| format!("rlcr_not_started: {difference}")),
        );
    } else {
        missing.push("rlcr_not_started: no loop was started, or it has ended".to_owned());
    }
    GateState::of(Gate::Started, missing, next)
}

fn problems(recorded: &LoopStarted, world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    let mut add = |problem: String| problems.push(format!("rlcr_not_started: {problem}"));
    if let Some(setup) = &recorded.setup
        && setup.exit != Some(0)
    {
        add(format!("the setup ended with {:?}", setup.exit));
    }
    let Some(active) = world.active_loops.first() else {
        add(format!(
            "{} is gone: the loop has ended",
            recorded.state_path.display()
        ));
        return problems;
    };
    if active.state_path != recorded.state_path {
        add(format!(
            "the active loop is {}, not the recorded {}",
            active.state_path.display(),
            recorded.state_path.display()
        ));
    }
    if active.current_round.is_none() {
        add("state.md has no current_round".to_owned());
    }
    if !active.has_prompt {
        add("round-0-prompt.md is missing".to_owned());
    }
    if recorded.runtime == LoopRuntime::Humanize && active.ask_codex_question != Some(false) {
        add("state.md lacks `ask_codex_question: false`".to_owned());
    }
    if recorded.strict_success && active.strict_success != Some(true) {
        add("state.md lacks `strict_success: true`".to_owned());
    }
    problems
}

pub fn unclaimed_change(state: &State, world: &World) -> GateState {
    let missing = match (&world.checkout, state.accepted_tree()) {
        (Checkout::Read(head), Some(accepted))
            if head.tree != accepted && state.open_attempt().is_none() =>
        {
            vec![format!(
                "unclaimed_change: HEAD {} has tree {}, the accepted one is {accepted}, and no attempt is open",
                short(&head.commit),
                short(&head.tree)
            )]
        }
        (Checkout::Unreadable { path, reason }, _) => {
            vec![format!("{}: {reason}", path.display())]
        }
        _ => Vec::new(),
    };
    GateState::of(
        Gate::UnclaimedChange,
        missing,
        "git revert the commits (or git reset to the accepted commit), then open an attempt before committing: update_ledger {\"kind\": \"attempt\", \"state\": \"open\", ...}",
    )
}

/// The first twelve digits of a hash.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
