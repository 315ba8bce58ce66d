//! What the plan and the prompts tell, taken from the campaign's log.

use super::builtin::MAX_ROUNDS;
use super::companion::{Companion, Companions};
use super::plan::{PlanFacts, Winner};
use super::prompt::PromptFacts;
use crate::campaign::checkout::Head;
use crate::campaign::events::{GapChecked, Outcome};
use crate::campaign::{self, Campaign, State};
use crate::gap::ScenarioGap;

/// Where the loop's branch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub branch: String,
    pub commit: String,
}

/// The plan's facts.
pub fn plan_facts(
    campaign: &Campaign,
    state: &State,
    head: &Head,
    base: &Base,
    companions: &Companions,
) -> PlanFacts {
    let inputs = state.inputs().cloned().unwrap_or_default();
    let hardware = inputs.hardware.clone().unwrap_or_default();
    let ids: Vec<String> = hardware.gpu_ids.iter().map(u32::to_string).collect();
    let gpu = hardware.gpu_model.unwrap_or_default();
    let notes = state.history.last();
    PlanFacts {
        campaign: campaign.id.clone(),
        root: campaign.root.display().to_string(),
        model: inputs.model.unwrap_or_default(),
        tokenizer: inputs.tokenizer.unwrap_or_default(),
        precision: inputs.precision.unwrap_or_default(),
        quantization: inputs.quantization.unwrap_or_default(),
        hardware: match &ids[..] {
            [] if gpu == "none" => "a host without a GPU".to_owned(),
            [] => gpu,
            ids => format!("{gpu}, GPU {}", ids.join(", ")),
        },
        target: state.target().to_owned(),
        compared: state.compared().to_vec(),
        excluded: inputs.excluded.unwrap_or_default().into_iter().collect(),
        checkout: head.path.display().to_string(),
        branch: head.branch.clone().unwrap_or_default(),
        base_branch: base.branch.clone(),
        base_commit: base.commit.clone(),
        workload_sha256: state
            .seal
            .as_ref()
            .map(|seal| seal.body.workload_sha256.clone())
            .unwrap_or_default(),
        sla: inputs.sla.map(|sla| sla.to_string()).unwrap_or_default(),
        rows_path: campaign.rows_path().display().to_string(),
        history_notes: notes
            .map(|notes| notes.body.notes_path.display().to_string())
            .unwrap_or_default(),
        gap: gap_lines(state).join("; "),
        winners: winners(state),
        companions: companion_lines(companions),
        max_rounds: MAX_ROUNDS,
    }
}

fn companion_lines(companions: &Companions) -> Vec<String> {
    let line = |name: &str, companion: &Option<Companion>| {
        companion
            .as_ref()
            .map(|found| format!("{name} at {}", found.path.display()))
    };
    [
        line("humanize", &companions.humanize),
        line("ncu_report_skill", &companions.ncu_report_skill),
        line("history", &companions.history),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn winners(state: &State) -> Vec<Winner> {
    let Some(seal) = &state.seal else {
        return Vec::new();
    };
    let command = |framework: &str| {
        seal.body
            .frameworks
            .iter()
            .find(|sealed| sealed.framework == framework)
            .and_then(|sealed| sealed.command.clone())
            .unwrap_or_default()
    };
    seal.body
        .leaders
        .iter()
        .chain(&seal.body.targets)
        .map(|leader| Winner {
            scenario: leader.scenario.clone(),
            framework: leader.framework.clone(),
            candidate: leader.candidate_id.clone(),
            command: command(&leader.framework),
        })
        .collect()
}

/// The newest gap that counts, a line each scenario.
pub fn gap_lines(state: &State) -> Vec<String> {
    let Some(gap) = state.gaps.last() else {
        return Vec::new();
    };
    let GapChecked { record, .. } = &gap.body;
    record.scenarios.iter().map(gap_line).collect()
}

fn gap_line(gap: &ScenarioGap) -> String {
    let mut text = format!("{}: {}", gap.scenario, gap.standing());
    if let Some(percent) = gap.gap_pct {
        text.push_str(&format!(", {percent:+.2}%"));
    }
    if let Some([low, high]) = gap.ci_pct {
        text.push_str(&format!(" ({low:+.2} to {high:+.2})"));
    }
    text
}

/// A serialised enum's own name.
pub fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// The facts of the present round's prompt. `left_open` is what the review
/// before it left.
pub fn prompt_facts(
    campaign: &Campaign,
    state: &State,
    left_open: &[String],
    branch: &str,
) -> PromptFacts {
    let status = campaign::status_of(campaign, state);
    let mut missing: Vec<String> = left_open.to_vec();
    for item in status.missing {
        if !missing.contains(&item) {
            missing.push(item);
        }
    }
    let mut standing = gap_lines(state);
    standing.extend(status.attempts.iter().map(|attempt| {
        let how = attempt
            .outcome
            .clone()
            .unwrap_or_else(|| word(&attempt.state));
        format!("attempt {} ({how}): {}", attempt.id, attempt.change)
    }));
    let last = state.rounds.last();
    PromptFacts {
        campaign: campaign.id.clone(),
        round: state.round(),
        max_rounds: MAX_ROUNDS,
        branch: branch.to_owned(),
        standing,
        last_round: last.map(|round| round.body.summary.clone()),
        next_patch: last.and_then(|round| round.body.next_patch.clone()),
        missing,
        next: status.next,
    }
}

/// How the loop's runtime is told that a campaign ended.
pub fn terminal_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Abandoned => "cancel",
        Outcome::Success | Outcome::Tied | Outcome::External | Outcome::AtLimit => "complete",
    }
}
