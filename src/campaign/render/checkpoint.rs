//! `humanize/model-loop-checkpoint.md`: all that somebody needs to go on.

use std::fmt::Write;

use serde_json::json;

use super::markdown::{or_dash, pct, plain};
use super::winners::{benchmark_table, best_rows, commands};
use crate::campaign::state::{AttemptState, snake};
use crate::campaign::{Campaign, State};

pub fn render(campaign: &Campaign, state: &State) -> String {
    let mut text = format!("# Checkpoint of {}\n", campaign.id);
    let _ = writeln!(
        text,
        "\nPhase {}, round {}, event {}.",
        snake(&state.phase()),
        state.round(),
        state.events
    );
    section(&mut text, "Task", &task(state));
    section(&mut text, "Winner commands", &commands(state));
    section(&mut text, "Code", &code(campaign, state));
    section(&mut text, "Measured", &measured(state));
    section(&mut text, "Evidence", &evidence(campaign, state));
    section(&mut text, "Rejected ideas", &rejected(state));
    section(&mut text, "Next", &next(state));
    text
}

fn section(text: &mut String, title: &str, content: &str) {
    let _ = write!(text, "\n## {title}\n\n{}\n", content.trim_end());
}

fn task(state: &State) -> String {
    let inputs = json!(state.inputs());
    let mut text = String::new();
    for name in [
        "model",
        "tokenizer",
        "precision",
        "quantization",
        "hardware",
        "target_framework",
        "comparison_frameworks",
        "excluded",
        "sla",
        "correctness",
    ] {
        if !inputs[name].is_null() {
            let _ = writeln!(
                text,
                "- {}: {}",
                name.replace('_', " "),
                plain(&inputs[name])
            );
        }
    }
    if let Some(seal) = &state.seal {
        let _ = writeln!(
            text,
            "- workload: `{}`, sealed {} in `{}`",
            seal.body.workload_sha256,
            seal.time,
            seal.body.path.display()
        );
        for leader in &seal.body.leaders {
            let _ = writeln!(
                text,
                "- sealed leader of {}: {} `{}`, {:.3}",
                leader.scenario, leader.framework, leader.candidate_id, leader.mean
            );
        }
    }
    text
}

fn code(campaign: &Campaign, state: &State) -> String {
    let mut text = String::new();
    if let Some(checkout) = state.checkout() {
        let _ = writeln!(text, "- checkout: `{}`", checkout.display());
    }
    if let Some(current) = state.current_loop() {
        let _ = writeln!(
            text,
            "- branch: {} from {} at `{}`\n- loop: {} in `{}`",
            current.body.start_branch,
            current.body.base_branch,
            current.body.base_commit,
            snake(&current.body.runtime),
            current.body.state_path.display()
        );
    }
    let _ = writeln!(
        text,
        "- accepted tree: `{}`",
        or_dash(state.accepted_tree())
    );
    for attempt in state.attempts() {
        let body = attempt.closed.map(|closed| &closed.body);
        let patch = body.and_then(|body| body.patch.as_ref());
        let patch = patch.map_or_else(String::new, |patch| {
            let short = patch.strip_prefix(&campaign.root).unwrap_or(patch);
            format!(", `{}`", short.display())
        });
        let _ = writeln!(
            text,
            "- attempt {}: {} ({}{}){patch}",
            attempt.id(),
            attempt.opened.body.target.change,
            snake(&attempt.state()),
            body.map_or_else(String::new, |body| format!(", {}", snake(&body.outcome))),
        );
        if attempt.state() == AttemptState::Open {
            for test in &attempt.opened.body.tests {
                let _ = writeln!(text, "  - test: `{}`", test.join(" "));
            }
        }
    }
    text
}

fn measured(state: &State) -> String {
    let Some(gap) = best_rows(state) else {
        return "Nothing is measured yet.".to_owned();
    };
    format!(
        "Event {} ({}), tree `{}`: {}, geomean gap {}.\n\n{}",
        gap.seq,
        snake(&gap.body.label),
        or_dash(gap.body.target_tree.as_deref()),
        snake(&gap.body.record.decision),
        pct(gap.body.record.geomean_gap_pct),
        benchmark_table(&gap.body)
    )
}

fn evidence(campaign: &Campaign, state: &State) -> String {
    let mut text = String::new();
    let mut add = |what: &str, seq: u64, path: &std::path::Path| {
        let short = path.strip_prefix(&campaign.root).unwrap_or(path);
        let _ = writeln!(text, "- {what}: event {seq}, `{}`", short.display());
    };
    if let Some(history) = state.history.last() {
        add("history notes", history.seq, &history.body.notes_path);
    }
    for profile in state.profiles.iter().rev().take(RECENT) {
        add(
            &format!("profile of {}", profile.body.framework),
            profile.seq,
            &profile.body.report_path,
        );
    }
    for pipeline in state.pipelines.iter().rev().take(RECENT) {
        add("layers", pipeline.seq, &pipeline.body.report_path);
    }
    for digest in state.digests.iter().rev().take(RECENT) {
        if let Some(path) = &digest.body.digest_path {
            add("counter digest", digest.seq, path);
        }
    }
    if text.is_empty() {
        text.push_str("None yet.");
    }
    text
}

/// Newest reports of a kind that are listed.
const RECENT: usize = 6;

fn rejected(state: &State) -> String {
    let mut text = String::new();
    for idea in &state.rejected_ideas {
        let _ = writeln!(text, "- {}: {}", idea.body.claim, idea.body.reason);
    }
    for blocker in &state.blockers {
        let _ = writeln!(
            text,
            "- blocked ({}): {}",
            snake(&blocker.body.cause),
            blocker.body.detail
        );
    }
    if text.is_empty() {
        text.push_str("None yet.");
    }
    text
}

fn next(state: &State) -> String {
    let mut text = String::new();
    if let Some(cause) = state.root_causes.last() {
        let _ = writeln!(
            text,
            "- root cause (event {}): {}",
            cause.seq, cause.body.summary
        );
    }
    if let Some(round) = state.rounds.last() {
        let _ = writeln!(text, "- last round: {}", round.body.summary);
    }
    let planned = state
        .rounds
        .last()
        .and_then(|round| round.body.next_patch.as_deref());
    let _ = writeln!(text, "- next planned patch: {}", or_dash(planned));
    text
}
