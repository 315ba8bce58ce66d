//! `refined-plan.md`: the loop's goal, criteria and duties, filled with the campaign's facts.

use super::error::RlcrError;
use super::template::fill;

/// Our own text; placeholders are `{{name}}`.
const TEMPLATE: &str = include_str!("../../references/refined-plan-template.md");

/// Where the plan lies in the checkout.
pub const PLAN_FILE: &str = ".humanize/sglang-sota-agent/refined-plan.md";

/// A candidate that won a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    pub scenario: String,
    pub framework: String,
    pub candidate: String,
    /// The server's command line, shown as one line.
    pub command: String,
}

/// Everything that the plan's text names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanFacts {
    pub campaign: String,
    pub root: String,
    pub model: String,
    pub tokenizer: String,
    pub precision: String,
    pub quantization: String,
    pub hardware: String,
    pub target: String,
    pub compared: Vec<String>,
    /// Name and reason.
    pub excluded: Vec<(String, String)>,
    pub checkout: String,
    pub branch: String,
    pub base_branch: String,
    pub base_commit: String,
    pub workload_sha256: String,
    pub sla: String,
    pub rows_path: String,
    pub history_notes: String,
    pub gap: String,
    pub winners: Vec<Winner>,
    pub companions: Vec<String>,
    pub max_rounds: u32,
}

/// The plan's text. A placeholder without a fact is a defect of the template.
pub fn render(facts: &PlanFacts) -> Result<String, RlcrError> {
    fill(TEMPLATE, |name| facts.value(name))
}

impl PlanFacts {
    fn value(&self, name: &str) -> Option<String> {
        let plain = |value: &String| {
            if value.is_empty() {
                "unknown".to_owned()
            } else {
                value.clone()
            }
        };
        Some(match name {
            "campaign" => plain(&self.campaign),
            "root" => plain(&self.root),
            "model" => plain(&self.model),
            "tokenizer" => plain(&self.tokenizer),
            "precision" => plain(&self.precision),
            "quantization" => plain(&self.quantization),
            "hardware" => plain(&self.hardware),
            "target" => plain(&self.target),
            "compared" => list(self.compared.clone(), "the frameworks compared"),
            "excluded" => list(
                self.excluded
                    .iter()
                    .map(|(name, reason)| format!("{name} ({reason})"))
                    .collect(),
                "none",
            ),
            "checkout" => plain(&self.checkout),
            "branch" => plain(&self.branch),
            "base_branch" => plain(&self.base_branch),
            "base_commit" => plain(&self.base_commit),
            "workload_sha256" => plain(&self.workload_sha256),
            "sla" => plain(&self.sla),
            "rows_path" => plain(&self.rows_path),
            "history_notes" => plain(&self.history_notes),
            "gap" => plain(&self.gap),
            "winners" => self.winners_table(),
            "companions" => list(self.companions.clone(), "none found"),
            "max_rounds" => self.max_rounds.to_string(),
            _ => return None,
        })
    }

    fn winners_table(&self) -> String {
        let mut rows = vec![
            "| scenario | framework | candidate | command |".to_owned(),
            "| --- | --- | --- | --- |".to_owned(),
        ];
        for winner in &self.winners {
            rows.push(format!(
                "| {} | {} | {} | `{}` |",
                winner.scenario,
                winner.framework,
                winner.candidate,
                winner.command.replace('|', "\\|")
            ));
        }
        rows.join("\n")
    }
}

fn list(items: Vec<String>, none: &str) -> String {
    if items.is_empty() {
        none.to_owned()
    } else {
        items.join(", ")
    }
}

/// The nine duties, as the plan lists them.
pub fn duties() -> Vec<&'static str> {
    let after = TEMPLATE
        .split_once("## Duties of every round\n")
        .map_or("", |(_, after)| after);
    after
        .lines()
        .filter_map(|line| {
            line.split_once(". ")
                .filter(|(number, _)| number.parse::<u32>().is_ok())
        })
        .map(|(_, duty)| duty)
        .collect()
}

/// The nine acceptance criteria, as the plan lists them: name and sentence.
pub fn criteria() -> Vec<(&'static str, &'static str)> {
    TEMPLATE
        .lines()
        .filter_map(|line| line.strip_prefix("- AC-"))
        .filter_map(|line| line.split_once(' '))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> PlanFacts {
        let text = str::to_owned;
        PlanFacts {
            campaign: text("20261124_qwen3-8b_sota_humanize"),
            root: text("/home/me/project/runs/20261124_qwen3-8b_sota_humanize"),
            model: text("/models/qwen3-8b"),
            tokenizer: text("/models/qwen3-8b"),
            precision: text("bf16"),
            quantization: text("none"),
            hardware: text("NVIDIA H100 80GB HBM3, GPU 0"),
            target: text("sglang"),
            compared: vec![text("vllm"), text("tensorrt-llm")],
            excluded: vec![(text("tokenspeed"), text("no build for this GPU"))],
            checkout: text("/src/sglang"),
            branch: text("faster"),
            base_branch: text("main"),
            base_commit: text("5f1b2c3"),
            workload_sha256: text("9a0b"),
            sla: text("p50 TTFT at most 20000 ms, p50 TPOT at most 80 ms"),
            rows_path: text(
                "/home/me/project/runs/20261124_qwen3-8b_sota_humanize/benchmark/candidates.jsonl",
            ),
            history_notes: text(
                "/home/me/project/runs/20261124_qwen3-8b_sota_humanize/history/model-pr-history-notes.md",
            ),
            gap: text("chat: behind, -5.9% (-6.1 to -5.7)"),
            winners: vec![Winner {
                scenario: text("chat"),
                framework: text("vllm"),
                candidate: text("base"),
                command: text("vllm serve /models/qwen3-8b --port 8000"),
            }],
            companions: vec![text(
                "humanize at /home/me/.claude/skills/humanize (claude_skill)",
            )],
            max_rounds: 42,
        }
    }

    #[test]
    fn the_plan_names_the_campaigns_facts_and_the_nine_duties() {
        let plan = render(&facts()).unwrap();
        assert!(!plan.contains("{{"), "{plan}");
        insta::assert_snapshot!("refined_plan", plan);
        insta::assert_snapshot!("duties", duties().join("\n"));
    }

    #[test]
    fn there_are_nine_duties_and_nine_criteria_with_both_kinds_of_tests() {
        assert_eq!(duties().len(), 9);
        assert_eq!(criteria().len(), 9);
        let count = |what: &str| TEMPLATE.matches(what).count();
        assert_eq!(count("  - Positive tests: "), 9);
        assert_eq!(count("  - Negative tests: "), 9);
    }

    #[test]
    fn a_plan_without_facts_is_still_whole() {
        let plan = render(&PlanFacts::default()).unwrap();
        assert!(plan.contains("Excluded frameworks: none."));
    }
}
