//! `round-N-prompt.md` of the built-in runtime.

use super::checklist::is_full_alignment;
use super::error::RlcrError;
use super::plan::{PLAN_FILE, duties};
use super::template::{bullets, fill};

const TEMPLATE: &str = include_str!("../../references/round-prompt-template.md");

/// What a round's prompt tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptFacts {
    pub campaign: String,
    pub round: u32,
    pub max_rounds: u32,
    pub branch: String,
    /// Gap, SLA and attempts, a line each.
    pub standing: Vec<String>,
    /// Summary of the round before.
    pub last_round: Option<String>,
    pub next_patch: Option<String>,
    /// What the last review left open, then what the next step lacks.
    pub missing: Vec<String>,
    pub next: String,
}

const ALIGNMENT: &str = "This is a full alignment round: at its end all nine acceptance criteria of the plan are reviewed against the record. Read the plan again before you begin.\n\n";

pub fn render(facts: &PromptFacts) -> Result<String, RlcrError> {
    fill(TEMPLATE, |name| {
        Some(match name {
            "campaign" => facts.campaign.clone(),
            "round" => facts.round.to_string(),
            "max_rounds" => facts.max_rounds.to_string(),
            "branch" => facts.branch.clone(),
            "plan_file" => PLAN_FILE.to_owned(),
            "alignment" if is_full_alignment(facts.round) => ALIGNMENT.to_owned(),
            "alignment" => String::new(),
            "standing" => bullets(&facts.standing, "nothing was measured yet"),
            "last_round" => one_line(facts.last_round.as_deref(), "none; this is the first"),
            "next_patch" => one_line(
                facts.next_patch.as_deref(),
                "none yet; the evidence of this round decides",
            ),
            "missing" => bullets(&facts.missing, "nothing"),
            "next" => facts.next.clone(),
            "duties" => numbered(),
            _ => return None,
        })
    })
}

fn one_line(text: Option<&str>, none: &str) -> String {
    text.filter(|text| !text.trim().is_empty())
        .map_or_else(|| none.to_owned(), |text| text.trim().replace('\n', " "))
}

fn numbered() -> String {
    let lines: Vec<String> = duties()
        .iter()
        .enumerate()
        .map(|(index, duty)| format!("{}. {duty}", index + 1))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_names_the_state_the_duties_and_the_next_call() {
        let facts = PromptFacts {
            campaign: "20261124_qwen3-8b_sota_humanize".to_owned(),
            round: 4,
            max_rounds: 42,
            branch: "faster".to_owned(),
            standing: vec!["chat: behind, -2.1% (-2.3 to -1.9)".to_owned()],
            last_round: Some("Fused the qk norm;\npartial win.".to_owned()),
            next_patch: Some("fuse rope too".to_owned()),
            missing: vec!["evidence: no report of vllm in this round".to_owned()],
            next: "profile {\"capture\": {\"framework\": \"vllm\"}}".to_owned(),
        };
        insta::assert_snapshot!("round_prompt", render(&facts).unwrap());
        let first = PromptFacts {
            campaign: "c".to_owned(),
            max_rounds: 42,
            ..PromptFacts::default()
        };
        let text = render(&first).unwrap();
        assert!(!text.contains("full alignment"), "{text}");
        assert!(
            text.contains("Last round: none; this is the first"),
            "{text}"
        );
    }
}
