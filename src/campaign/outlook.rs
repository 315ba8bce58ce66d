//! The next call that makes sense, and what is missing before it.

use super::gates::{Gate, GateState, World};
use super::state::{JobKind, Phase};
use super::{Campaign, State};

/// The next call of a campaign.
pub fn next(campaign: &Campaign, state: &State, world: &World, gates: &[GateState]) -> String {
    if let Some(job) = state.pending_jobs().first() {
        return follow(job.kind, job.id);
    }
    let is_open = |gate: Gate| gates.iter().any(|state| state.gate == gate && state.open);
    let serve = |gate: Gate| {
        let closed = gates.iter().find(|state| state.gate == gate && !state.open);
        closed.map(|closed| closed.next.clone())
    };
    let step = match state.phase() {
        Phase::Finished => Some("read final_report.md".to_owned()),
        Phase::Paused => Some("campaign {\"action\": \"resume\"}".to_owned()),
        Phase::Baseline | Phase::Sealed => [
            Gate::History,
            Gate::Baseline,
            Gate::Fairness,
            Gate::Preflight,
        ]
        .into_iter()
        .find_map(serve)
        .or_else(|| Some("campaign {\"action\": \"start_loop\"}".to_owned())),
        Phase::Loop => in_loop(state, world, &is_open, &serve),
    };
    within(campaign, step.unwrap_or_default())
}

fn follow(kind: JobKind, id: &str) -> String {
    match kind {
        JobKind::Benchmark => format!("run_benchmark {{\"job_id\": \"{id}\", \"wait_s\": 240}}"),
        JobKind::Capture => format!("profile {{\"job_id\": \"{id}\", \"wait_s\": 240}}"),
        JobKind::Checks => "update_ledger {\"kind\": \"attempt\", \"state\": \"check\"}".to_owned(),
    }
}

fn in_loop(
    state: &State,
    world: &World,
    is_open: &dyn Fn(Gate) -> bool,
    serve: &dyn Fn(Gate) -> Option<String>,
) -> Option<String> {
    if let Some(step) = serve(Gate::Started).or_else(|| serve(Gate::UnclaimedChange)) {
        return Some(step);
    }
    if is_open(Gate::StrictSuccess) {
        return Some(
            "campaign {\"action\": \"finish\", \"outcome\": \"tied\", \"reason\": \"...\"} (or success)".to_owned(),
        );
    }
    if let Some(attempt) = state.open_attempt() {
        let id = attempt.id();
        let Some(tree) = world.checkout.present_tree() else {
            return Some(format!("commit the change of attempt {id}"));
        };
        if Some(tree) == attempt.opened.tree.as_deref() {
            return Some(match state.outputs_of(tree) {
                Some(_) => format!("make and commit the change of attempt {id}"),
                None => "update_ledger {\"kind\": \"attempt\", \"state\": \"check\"} on the base tree, before the first commit".to_owned(),
            });
        }
        return serve(Gate::Code).or_else(|| serve(Gate::Optimization)).or_else(|| {
            Some("update_ledger {\"kind\": \"attempt\", \"state\": \"done\", \"outcome\": \"win\", \"summary\": \"...\"}".to_owned())
        });
    }
    let ended_attempt = state
        .attempts_closed
        .last()
        .is_some_and(|closed| closed.seq > state.round_began());
    if ended_attempt {
        return Some("update_ledger {\"kind\": \"round_end\", \"summary\": \"...\", \"next_patch\": \"...\"}".to_owned());
    }
    [
        Gate::RunningCheckout,
        Gate::OnePercent,
        Gate::Evidence,
        Gate::Plateau,
    ]
    .into_iter()
    .find_map(serve)
    .or_else(|| Some("update_ledger {\"kind\": \"attempt\", \"state\": \"open\", ...}".to_owned()))
}

/// The call with the campaign named, where it names none.
fn within(campaign: &Campaign, step: String) -> String {
    let Some((tool, rest)) = step.split_once(" {") else {
        return step;
    };
    let known = [
        "campaign",
        "run_benchmark",
        "check_gap",
        "query_history",
        "update_ledger",
        "profile",
        "analyze_pipeline",
    ];
    if !known.contains(&tool) || rest.contains("job_id") {
        return step;
    }
    let separator = if rest.starts_with('}') { "" } else { ", " };
    format!(
        "{tool} {{\"campaign\": \"{}\"{separator}{rest}",
        campaign.root.display()
    )
}

/// What the phase waits for: what the gates of its next step miss.
pub fn missing(state: &State, gates: &[GateState]) -> Vec<String> {
    let wanted: &[Gate] = match state.phase() {
        Phase::Finished | Phase::Paused => &[],
        Phase::Baseline | Phase::Sealed => &[
            Gate::History,
            Gate::Baseline,
            Gate::Fairness,
            Gate::Preflight,
        ],
        Phase::Loop if state.open_attempt().is_some() => &[
            Gate::Started,
            Gate::UnclaimedChange,
            Gate::Code,
            Gate::Optimization,
        ],
        Phase::Loop => &[
            Gate::Started,
            Gate::UnclaimedChange,
            Gate::OnePercent,
            Gate::Evidence,
            Gate::Plateau,
        ],
    };
    gates
        .iter()
        .filter(|gate| wanted.contains(&gate.gate))
        .flat_map(|gate| {
            gate.missing
                .iter()
                .map(|item| format!("{}: {item}", gate.gate.name()))
        })
        .collect()
}
