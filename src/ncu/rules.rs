//! The rule file: from quantities to a next edit, first match wins.

use regex::Regex;
use serde::Deserialize;

use super::error::NcuError;
use super::facts::{Definitions, Facts};
use crate::references;

const BUILT_IN: &str = include_str!("../../references/ncu-rules.toml");

/// Why the user's rules cannot be used.
pub(super) fn problem() -> Option<String> {
    let definitions = Definitions::load().ok()?;
    let error = Rules::load(&definitions).err()?;
    Some(error.to_string())
}

/// All rules and the numbers that go with them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub ignore: Vec<String>,
    pub short_launch_ns: f64,
    pub noise_pct: f64,
    pub clock_pct: f64,
    pub moved: Moved,
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// What a comparison looks at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    pub least_pct: f64,
    /// The least move of a percentage, in points.
    pub least_points: f64,
    pub quantities: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub id: String,
    pub gate: String,
    pub bound: String,
    #[serde(default)]
    pub stop: bool,
    #[serde(default)]
    when: Vec<Condition>,
    #[serde(default)]
    any: Vec<Condition>,
    #[serde(default)]
    unless: Vec<Condition>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    name: Option<Pattern>,
    #[serde(default)]
    unnamed: Option<Pattern>,
    pub change: String,
    pub evidence: Vec<String>,
    pub expected: String,
    pub target: Target,
    #[serde(default)]
    pub about: Vec<String>,
    #[serde(default)]
    pub risk: String,
}

/// The quantity that an edit should move.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub quantity: String,
    pub direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    Up,
    Down,
    /// From not collected to collected.
    Known,
}

/// `quantity operator number`, e.g. `dram_pct >= 78`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Condition {
    quantity: String,
    operator: Operator,
    limit: f64,
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let [quantity, operator, limit] = words[..] else {
            return Err(format!(
                "condition {text:?} is not `quantity operator number`"
            ));
        };
        let operator = match operator {
            ">" => Operator::Above,
            ">=" => Operator::AtLeast,
            "<" => Operator::Below,
            "<=" => Operator::AtMost,
            other => return Err(format!("condition {text:?}: unknown operator {other:?}")),
        };
        let limit = limit
            .parse()
            .map_err(|_| format!("condition {text:?}: {limit:?} is not a number"))?;
        Ok(Self {
            quantity: quantity.to_string(),
            operator,
            limit,
        })
    }
}

impl Condition {
    /// `None` when the quantity was not collected.
    fn holds(&self, facts: &Facts) -> Option<bool> {
        let value = facts.value(&self.quantity)?;
        Some(match self.operator {
            Operator::Above => value > self.limit,
            Operator::AtLeast => value >= self.limit,
            Operator::Below => value < self.limit,
            Operator::AtMost => value <= self.limit,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

/// What a rule says about a kernel.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Fires,
    No,
    /// It cannot be ruled out: these quantities were not collected.
    Unknown(Vec<String>),
}

impl Rules {
    /// The rules, each checked to speak of defined quantities only.
    pub fn load(definitions: &Definitions) -> Result<Self, NcuError> {
        Self::check(references::load("ncu-rules.toml", BUILT_IN)?, definitions)
    }

    fn check(rules: Self, definitions: &Definitions) -> Result<Self, NcuError> {
        for rule in &rules.rules {
            let conditions = rule.when.iter().chain(&rule.any).chain(&rule.unless);
            let unknown = conditions
                .map(|condition| &condition.quantity)
                .chain(&rule.evidence)
                .chain(&rule.missing)
                .chain([&rule.target.quantity])
                .find(|quantity| !definitions.knows(quantity));
            if let Some(quantity) = unknown {
                return Err(NcuError::Rules(format!(
                    "rule {:?}: unknown quantity {quantity:?}",
                    rule.id
                )));
            }
            if rule.evidence.len() < 2 {
                return Err(NcuError::Rules(format!(
                    "rule {:?} cites fewer than two quantities",
                    rule.id
                )));
            }
        }
        Ok(rules)
    }
}

impl Rule {
    pub fn test(&self, facts: &Facts, kernel: &str) -> Outcome {
        let named = self
            .name
            .as_ref()
            .is_none_or(|pattern| pattern.0.is_match(kernel));
        let excluded = self
            .unnamed
            .as_ref()
            .is_some_and(|pattern| pattern.0.is_match(kernel));
        let present = self
            .missing
            .iter()
            .any(|quantity| facts.value(quantity).is_some());
        let stopped = self
            .unless
            .iter()
            .any(|condition| condition.holds(facts) == Some(true));
        if !named || excluded || present || stopped {
            return Outcome::No;
        }
        let mut unknown = Vec::new();
        for condition in &self.when {
            match condition.holds(facts) {
                Some(true) => {}
                Some(false) => return Outcome::No,
                None => unknown.push(condition.quantity.clone()),
            }
        }
        let any: Vec<_> = self
            .any
            .iter()
            .map(|condition| condition.holds(facts))
            .collect();
        if !any.is_empty() && !any.contains(&Some(true)) {
            if !any.contains(&None) {
                return Outcome::No;
            }
            unknown.extend(self.any.iter().map(|condition| condition.quantity.clone()));
        }
        if unknown.is_empty() {
            Outcome::Fires
        } else {
            Outcome::Unknown(unknown)
        }
    }

    /// A text of the rule with its `{quantity}` places filled in.
    pub fn fill(text: &str, facts: &Facts) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            filled.push_str(before);
            match from.split_once('}') {
                Some((quantity, after)) => {
                    filled.push_str(&facts.shown(quantity));
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = from;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_are_sound() {
        let definitions = Definitions::load().unwrap();
        let rules = Rules::load(&definitions).unwrap();
        for quantity in &rules.moved.quantities {
            assert!(definitions.knows(quantity), "{quantity}");
        }
        for rule in &rules.rules {
            for text in [&rule.change, &rule.expected] {
                for part in text.split('{').skip(1) {
                    let quantity = part.split('}').next().unwrap();
                    assert!(definitions.knows(quantity), "{}: {quantity}", rule.id);
                }
            }
        }
        let mut ids: Vec<_> = rules.rules.iter().map(|rule| &rule.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), rules.rules.len());
    }

    #[test]
    fn a_broken_rule_is_named() {
        let definitions = Definitions::load().unwrap();
        let broken = |from: &str, to: &str| {
            let text = BUILT_IN.replacen(from, to, 1);
            match toml::from_str(&text) {
                Ok(rules) => Rules::check(rules, &definitions).unwrap_err().to_string(),
                Err(error) => error.to_string(),
            }
        };
        assert!(broken("blocks_per_sm < 1", "blocks_per_sm ~ 1").contains("unknown operator"));
        assert!(broken("blocks_per_sm < 1", "blocks_per_am < 1").contains("blocks_per_am"));
        assert!(broken("gate = \"spill\"", "gates = \"spill\"").contains("unknown field"));
    }
}
