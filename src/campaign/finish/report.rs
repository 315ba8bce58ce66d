//! `final_report.md`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::campaign::events::{BenchmarkLabel, Finished, GapChecked, Outcome, SotaAnswer};
use crate::campaign::gates::World;
use crate::campaign::render::{Table, benchmark_table, best_rows, commands};
use crate::campaign::state::{Recorded, snake};
use crate::campaign::{Campaign, State};

/// The report of a campaign that ends so.
pub fn render(campaign: &Campaign, state: &State, world: &World, end: &Finished) -> String {
    let mut text = format!("# Final report of {}\n", campaign.id);
    section(&mut text, "Answer", &answer(state, end));
    section(&mut text, "Sealed and final", &side_by_side(state));
    section(&mut text, "Fixed benchmark", &baseline(state));
    section(&mut text, "After the last patch", &revalidation(state));
    section(&mut text, "Winner commands", &winners(state));
    section(&mut text, "Changed files", &changes(state, world));
    section(&mut text, "Tests", &tests(state));
    section(&mut text, "Frameworks left out", &left_out(state));
    section(&mut text, "Paths", &paths(campaign, state));
    text
}

fn section(text: &mut String, title: &str, content: &str) {
    let _ = write!(text, "\n## {title}\n\n{}\n", content.trim_end());
}

fn answer(state: &State, end: &Finished) -> String {
    let answer = match end.answer {
        SotaAnswer::Yes => "yes",
        SotaAnswer::Tied => "tied",
        SotaAnswer::No => "no",
    };
    let why = match end.outcome {
        Outcome::Success => {
            "a revalidation of the sealed workload shows it ahead in a scenario and no more than 1% behind in any"
        }
        Outcome::Tied => {
            "a revalidation of the sealed workload shows it no more than 1% behind the leader in any scenario"
        }
        Outcome::External => "what is left lies outside its code",
        Outcome::AtLimit => "every kernel and cause that matters was tried or is at its roof",
        Outcome::Abandoned => "the campaign was abandoned before it was decided",
    };
    let events: Vec<String> = end.evidence.iter().map(u64::to_string).collect();
    format!(
        "Target-environment SOTA: **{answer}**. {} ended as `{}`: {why}.\n\n{}\n\nEvidence: {}.{}",
        state.target(),
        snake(&end.outcome),
        end.reason,
        if events.is_empty() {
            "the newest revalidation below".to_owned()
        } else {
            let s = if events.len() == 1 { "" } else { "s" };
            format!("event{s} {}", events.join(", "))
        },
        blockers(state, &end.evidence)
    )
}

/// The blockers among the evidence, with what the server saw of each.
fn blockers(state: &State, evidence: &[u64]) -> String {
    let cited = state
        .blockers
        .iter()
        .filter(|blocker| evidence.contains(&blocker.seq));
    cited
        .map(|blocker| {
            format!(
                "\n\n- event {}, {}: {}\n\n  ```json\n  {}\n  ```",
                blocker.seq,
                snake(&blocker.body.cause),
                blocker.body.detail,
                serde_json::to_string(&blocker.body.seen).unwrap_or_default()
            )
        })
        .collect()
}

/// The first gap decision of the baseline that was sealed, and the newest.
fn side_by_side(state: &State) -> String {
    let sealed = sealed_gap(state);
    let last = best_rows(state);
    let mut table = Table::new(&[
        "scenario",
        "sealed gap",
        "sealed verdict",
        "final gap",
        "final verdict",
    ]);
    for scenario in sealed.iter().flat_map(|gap| &gap.body.record.scenarios) {
        let now = last.and_then(|gap| {
            let mut scenarios = gap.body.record.scenarios.iter();
            scenarios.find(|now| {
                now.scenario == scenario.scenario
                    && now.request_rate == scenario.request_rate
                    && now.max_concurrency == scenario.max_concurrency
            })
        });
        let gap =
            |gap: Option<f64>| gap.map_or_else(|| "–".to_owned(), |gap| format!("{gap:+.2}%"));
        table.row([
            scenario.scenario.clone(),
            gap(scenario.gap_pct),
            scenario.standing().to_owned(),
            gap(now.and_then(|now| now.gap_pct)),
            now.map_or("–", |now| now.standing()).to_owned(),
        ]);
    }
    table.or("Nothing was sealed.")
}

/// The baseline's decision that the seal rests on.
fn sealed_gap(state: &State) -> Option<&Recorded<GapChecked>> {
    let until = state.seal.as_ref().map_or(u64::MAX, |seal| seal.seq);
    state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.label == BenchmarkLabel::Baseline && gap.seq < until)
}

fn baseline(state: &State) -> String {
    sealed_gap(state).map_or_else(|| "No baseline was decided.".to_owned(), decided)
}

fn revalidation(state: &State) -> String {
    let newest = state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.label == BenchmarkLabel::Revalidation);
    newest.map_or_else(|| "No revalidation was run.".to_owned(), decided)
}

fn decided(gap: &Recorded<GapChecked>) -> String {
    format!(
        "Event {}, {}, tree `{}`, job `{}`: {}.\n\n{}",
        gap.seq,
        gap.time,
        gap.body.target_tree.as_deref().unwrap_or("unknown"),
        gap.body.job_id.as_deref().unwrap_or("unknown"),
        gap.body.record.decision_reason,
        benchmark_table(&gap.body)
    )
}

/// The sealed commands, and the target's own at the end.
fn winners(state: &State) -> String {
    let mut text = commands(state);
    let last = state
        .benchmarks
        .iter()
        .rev()
        .find(|ended| ended.body.label == BenchmarkLabel::Revalidation);
    let target = last
        .iter()
        .flat_map(|ended| &ended.body.frameworks)
        .find(|outcome| outcome.framework == state.target());
    if let Some(command) = target.and_then(|outcome| outcome.command.as_ref()) {
        let _ = writeln!(
            text,
            "- {} at the end:\n\n  ```sh\n  {command}\n  ```",
            state.target()
        );
    }
    text
}

fn changes(state: &State, world: &World) -> String {
    let mut files: BTreeSet<&PathBuf> = BTreeSet::new();
    let mut text = String::new();
    for attempt in state.attempts() {
        let Some(closed) = attempt.closed else {
            continue;
        };
        if closed.body.accepted {
            files.extend(&closed.body.files);
        }
        let _ = writeln!(
            text,
            "- {} ({}, {}): {}{}",
            attempt.id(),
            snake(&attempt.state()),
            snake(&closed.body.outcome),
            attempt.opened.body.target.change,
            closed
                .body
                .measured
                .as_ref()
                .map_or_else(String::new, |measured| format!(
                    ", {:+.2}%",
                    measured.improvement_pct
                )),
        );
    }
    if !files.is_empty() {
        text.push('\n');
    }
    for file in files {
        let _ = writeln!(text, "- `{}`", file.display());
    }
    if let Some(head) = world.checkout.head() {
        let _ = writeln!(
            text,
            "\nHEAD `{}`, tree `{}`, branch {}.",
            head.commit,
            head.tree,
            head.branch.as_deref().unwrap_or("none")
        );
    }
    if text.is_empty() {
        text.push_str("None.");
    }
    text
}

fn tests(state: &State) -> String {
    let mut table = Table::new(&["attempt", "tree", "test", "passed", "log"]);
    for checks in &state.checks {
        for test in &checks.body.tests {
            table.row([
                checks.body.attempt.clone().unwrap_or_default(),
                checks.tree.clone().unwrap_or_default(),
                test.command.argv.join(" "),
                if test.passed { "yes" } else { "no" }.to_owned(),
                test.command.log.display().to_string(),
            ]);
        }
        if let Some(greedy) = &checks.body.greedy {
            table.row([
                checks.body.attempt.clone().unwrap_or_default(),
                checks.tree.clone().unwrap_or_default(),
                format!(
                    "greedy outputs: {} of {} equal, {:.1}% of the text (least {:.1}%)",
                    greedy.identical,
                    greedy.prompts,
                    100.0 * greedy.matched_share,
                    100.0 * greedy.min_matched_share
                ),
                if greedy.passed { "yes" } else { "no" }.to_owned(),
                String::new(),
            ]);
        }
    }
    table.or("None were run.")
}

fn left_out(state: &State) -> String {
    let mut text = String::new();
    let excluded = state.inputs().and_then(|inputs| inputs.excluded.as_ref());
    for (name, reason) in excluded.into_iter().flatten() {
        let _ = writeln!(
            text,
            "- {name}: {reason} (excluded when the campaign was opened)"
        );
    }
    for blocker in &state.blockers {
        let Some(name) = &blocker.body.framework else {
            continue;
        };
        let _ = writeln!(
            text,
            "- {name}: {} ({}, event {})",
            blocker.body.detail,
            snake(&blocker.body.cause),
            blocker.seq
        );
    }
    if text.is_empty() {
        text.push_str("None.");
    }
    text
}

fn paths(campaign: &Campaign, state: &State) -> String {
    let mut text = String::new();
    let mut add = |what: &str, path: &Path| {
        let short = path.strip_prefix(&campaign.root).unwrap_or(path);
        let _ = writeln!(text, "- {what}: `{}`", short.display());
    };
    add("event log", campaign.log().path());
    add("rows", &campaign.rows_path());
    if let Some(seal) = &state.seal {
        add("seal", &seal.body.path);
    }
    for history in state.history.iter().rev().take(1) {
        add("history notes", &history.body.notes_path);
    }
    for profile in &state.profiles {
        add(
            &format!(
                "profile of {} (event {})",
                profile.body.framework, profile.seq
            ),
            &profile.body.report_path,
        );
    }
    for pipeline in &state.pipelines {
        add(
            &format!("layers (event {})", pipeline.seq),
            &pipeline.body.report_path,
        );
    }
    for digest in &state.digests {
        if let Some(path) = &digest.body.digest_path {
            add(&format!("counter digest (event {})", digest.seq), path);
        }
    }
    for attempt in state.attempts() {
        if let Some(patch) = attempt.closed.and_then(|closed| closed.body.patch.as_ref()) {
            add(&format!("patch of {}", attempt.id()), patch);
        }
    }
    for name in [
        "attempt-ledger.md",
        "optimization-ledger.md",
        "source-idea-ledger.md",
        "model-loop-checkpoint.md",
    ] {
        add("ledger", &campaign.root.join("humanize").join(name));
    }
    text
}
