//! From a kernel's facts to exactly one next edit.

use super::facts::{Definitions, Facts, show};
use super::group::Group;
use super::hotspots::Finder;
use super::record::{Bound, Evidence, Hotspot, NextEdit, TriedEdit};
use super::report::{Launch, MessageKind, RuleItem, RuleMessage, RuleResult, SpeedupScope};
use super::rules::{Direction, Outcome, Rule, Rules};

/// Which rule decides a kernel, and what stood in its way.
pub(super) struct Choice<'r> {
    pub rule: Option<&'r Rule>,
    /// The first rule that fires, tried or not: it names the bound.
    pub first: Option<&'r Rule>,
    pub untested: Vec<(&'r Rule, Vec<String>)>,
    pub skipped: Vec<&'r Rule>,
}

impl Choice<'_> {
    /// Gates that could not be ruled out, each once.
    fn untested(&self) -> Vec<String> {
        let mut gates = Vec::new();
        for (rule, _) in &self.untested {
            push_new(&mut gates, &rule.gate);
        }
        gates
    }
}

/// Goes through the rules in order.
pub(super) fn choose<'r>(
    rules: &'r Rules,
    facts: &Facts,
    kernel: &str,
    tried: &[TriedEdit],
) -> Choice<'r> {
    let mut choice = Choice {
        rule: None,
        first: None,
        untested: Vec::new(),
        skipped: Vec::new(),
    };
    for rule in &rules.rules {
        match rule.test(facts, kernel) {
            Outcome::No => {}
            Outcome::Unknown(missing) => choice.untested.push((rule, missing)),
            Outcome::Fires => {
                choice.first = choice.first.or(Some(rule));
                if was_tried(rule, kernel, tried) {
                    choice.skipped.push(rule);
                } else {
                    choice.rule = Some(rule);
                    break;
                }
            }
        }
    }
    choice
}

fn was_tried(rule: &Rule, kernel: &str, tried: &[TriedEdit]) -> bool {
    // A roof is no edit that could have been tried.
    !rule.stop
        && tried.iter().any(|edit| {
            (edit.rule == rule.id || edit.rule == rule.gate)
                && (edit.kernel.is_empty() || kernel.contains(&edit.kernel))
        })
}

/// What holds the kernel back, in one word and one sentence.
pub(super) fn bound(choice: &Choice, facts: &Facts) -> (Bound, String) {
    let Some(rule) = choice.first else {
        return (
            busiest(facts, &ALL_UNITS),
            "no rule fires: no single limit stands out".to_string(),
        );
    };
    let bound = match rule.bound.as_str() {
        "memory" => busiest(facts, &MEMORY_UNITS),
        "busiest" => busiest(facts, &ALL_UNITS),
        name => serde_json::from_value(name.into()).unwrap_or_default(),
    };
    let cited: Vec<_> = rule
        .evidence
        .iter()
        .filter_map(|quantity| Some((quantity, facts.get(quantity)?)))
        .take(2)
        .map(|(quantity, fact)| format!("{quantity} {}", show(fact.value, &fact.unit)))
        .collect();
    (bound, format!("{}: {}", rule.gate, cited.join(", ")))
}

const MEMORY_UNITS: [(&str, Bound); 3] = [
    ("dram_pct", Bound::Dram),
    ("l2_pct", Bound::L2),
    ("l1_pct", Bound::L1),
];
const ALL_UNITS: [(&str, Bound); 6] = [
    ("dram_pct", Bound::Dram),
    ("l2_pct", Bound::L2),
    ("l1_pct", Bound::L1),
    ("tensor_pct", Bound::Tensor),
    ("fma_pct", Bound::Fma),
    ("pipe_pct", Bound::Pipe),
];
/// A unit below this is not what holds a kernel back.
const BUSY_PCT: f64 = 60.0;

/// The unit that runs closest to its peak, or latency where none is busy.
fn busiest(facts: &Facts, units: &[(&str, Bound)]) -> Bound {
    let known: Vec<_> = units
        .iter()
        .filter_map(|(quantity, bound)| Some((facts.value(quantity)?, *bound)))
        .collect();
    let best = known
        .iter()
        .copied()
        .reduce(|a, b| if b.0 > a.0 { b } else { a });
    match best {
        None => Bound::Unknown,
        Some((value, bound)) if value >= BUSY_PCT || units.len() == MEMORY_UNITS.len() => bound,
        Some(_) => Bound::Latency,
    }
}

/// The edit that the choice comes to.
pub(super) fn next_edit(
    choice: &Choice,
    rules: &Rules,
    facts: &Facts,
    group: &Group,
    finder: &Finder,
    hotspots: &[Hotspot],
) -> NextEdit {
    let skipped: Vec<_> = choice.skipped.iter().map(|rule| rule.id.clone()).collect();
    let mut edit = match choice.rule {
        Some(rule) => from_rule(rule, facts, group, finder, hotspots),
        None => fallback(rules, facts, group, hotspots),
    };
    edit.kernel = group.name().to_string();
    edit.untested = choice.untested();
    edit.skipped = skipped;
    edit
}

fn from_rule(
    rule: &Rule,
    facts: &Facts,
    group: &Group,
    finder: &Finder,
    hotspots: &[Hotspot],
) -> NextEdit {
    let location = if rule.stop || rule.target.direction == Direction::Known {
        None
    } else {
        group
            .launch()
            .and_then(|launch| marked_line(launch, rule, finder, hotspots))
            .or_else(|| stalled_line(rule, hotspots))
            .or_else(|| hotspots.first().cloned())
    };
    NextEdit {
        gate: rule.gate.clone(),
        rule: rule.id.clone(),
        stop: rule.stop,
        change: Rule::fill(&rule.change, facts),
        evidence: evidence(&rule.evidence, facts),
        location,
        expected: Rule::fill(&rule.expected, facts),
        validate: validate(rule, facts),
        risk: rule.risk.clone(),
        gain_at_most_pct: if rule.stop {
            None
        } else {
            ncu_estimate(group, &rule.about)
        },
        ..NextEdit::default()
    }
}

/// At least two values: the rule's own, then the headline ones.
fn evidence(quantities: &[String], facts: &Facts) -> Vec<Evidence> {
    let cite = |fact: &super::facts::Fact| Evidence {
        metric: fact.metric.clone(),
        value: fact.value,
        unit: fact.unit.clone(),
    };
    let mut cited: Vec<Evidence> = Vec::new();
    for fact in quantities.iter().filter_map(|quantity| facts.get(quantity)) {
        if !cited.iter().any(|known| known.metric == fact.metric) {
            cited.push(cite(fact));
        }
    }
    for (_, fact) in facts.iter().filter(|(_, fact)| fact.headline) {
        if cited.len() >= 2 {
            break;
        }
        if !cited.iter().any(|known| known.metric == fact.metric) {
            cited.push(cite(fact));
        }
    }
    cited
}

fn validate(rule: &Rule, facts: &Facts) -> String {
    if rule.stop {
        return "Nothing to validate here; spend the effort on the next kernel by time."
            .to_string();
    }
    let direction = match rule.target.direction {
        Direction::Up => "rise",
        Direction::Down => "fall",
        Direction::Known => return "Digest the new report.".to_string(),
    };
    let metric = facts
        .get(&rule.target.quantity)
        .map_or(rule.target.quantity.as_str(), |fact| &fact.metric);
    format!(
        "Check the result against the reference, profile the same launch again, and digest both reports: {metric} (now {}) must {direction} and the verdict must be improved.",
        facts.shown(&rule.target.quantity)
    )
}

/// The hottest place where warps wait for what the rule speaks of.
fn stalled_line(rule: &Rule, hotspots: &[Hotspot]) -> Option<Hotspot> {
    let reasons: Vec<_> = rule
        .evidence
        .iter()
        .filter_map(|quantity| quantity.strip_prefix("stall."))
        .collect();
    hotspots
        .iter()
        .find(|spot| reasons.contains(&spot.stall.as_str()))
        .cloned()
}

/// The line that ncu's rules on the same thing point at.
///
/// Its rule on stalls marks lines of any stall, so it is not asked.
fn marked_line(
    launch: &Launch,
    rule: &Rule,
    finder: &Finder,
    hotspots: &[Hotspot],
) -> Option<Hotspot> {
    let marker = launch
        .rules
        .iter()
        .filter(|result| {
            rule.about.first() == Some(&result.identifier) && result.identifier != "CPIStall"
        })
        .flat_map(|result| &result.markers)
        .find(|marker| marker.line.is_some() && !marker.file.is_empty())?;
    let known = hotspots
        .iter()
        .find(|spot| spot.line == marker.line && spot.file.as_deref() == Some(&marker.file));
    Some(match known {
        Some(spot) => spot.clone(),
        None => Hotspot {
            file: Some(marker.file.clone()),
            line: marker.line,
            text: finder.text(launch, &marker.file, marker.line?),
            ..Hotspot::default()
        },
    })
}

/// ncu's largest estimate of the run time to be won, over some of its rules.
fn ncu_estimate(group: &Group, about: &[String]) -> Option<f64> {
    group
        .launch()?
        .messages()
        .filter(|(rule, ..)| about.contains(&rule.identifier))
        .filter_map(|(_, item, _)| item.speedup)
        .filter(|speedup| speedup.scope == SpeedupScope::Global)
        .map(|speedup| speedup.percent)
        .reduce(f64::max)
}

/// No rule of ours fires: take ncu's own best estimate, or say that nothing stands out.
fn fallback(rules: &Rules, facts: &Facts, group: &Group, hotspots: &[Hotspot]) -> NextEdit {
    let best = group
        .launch()
        .into_iter()
        .flat_map(Launch::messages)
        .filter(|(rule, item, message)| is_estimate(rules, rule, item, message))
        .max_by(|a, b| percent(a.1).total_cmp(&percent(b.1)));
    let cited = ["sm_pct", "memory_pct", "issue", "achieved_occupancy_pct"].map(str::to_string);
    match best {
        Some((rule, item, message)) => NextEdit {
            gate: "ncu_rule".to_string(),
            rule: rule.identifier.clone(),
            change: format!("Follow ncu's rule {}: {}", rule.identifier, message.text),
            evidence: evidence(&cited, facts),
            location: hotspots.first().cloned(),
            expected: item
                .focus
                .iter()
                .map(|focus| format!("{} (now {}) moves: {}", focus.name, show(focus.value, ""), focus.info))
                .collect::<Vec<_>>()
                .join("; "),
            validate: "Profile the same launch again and digest both reports: the verdict must be improved.".to_string(),
            gain_at_most_pct: Some(percent(item)),
            ..NextEdit::default()
        },
        None => NextEdit {
            gate: "none".to_string(),
            rule: "none".to_string(),
            stop: true,
            change: "Leave this kernel alone: no limit stands out, and no rule of ncu's promises a gain. Fuse it with a neighbour or spend the effort on another kernel.".to_string(),
            evidence: evidence(&cited, facts),
            expected: "Nothing to expect.".to_string(),
            validate: "Nothing to validate.".to_string(),
            ..NextEdit::default()
        },
    }
}

fn is_estimate(rules: &Rules, rule: &RuleResult, item: &RuleItem, message: &RuleMessage) -> bool {
    message.kind == MessageKind::Optimization
        && !rules.ignore.contains(&rule.identifier)
        && item
            .speedup
            .is_some_and(|speedup| speedup.scope == SpeedupScope::Global && speedup.percent >= 1.0)
}

fn percent(item: &RuleItem) -> f64 {
    item.speedup.map_or(0.0, |speedup| speedup.percent)
}

/// Metrics that the untested rules lacked, and the sections that collect them.
pub(super) fn lacking(choice: &Choice, definitions: &Definitions) -> (Vec<String>, Vec<String>) {
    let (mut metrics, mut sections) = (Vec::new(), Vec::new());
    for quantity in choice.untested.iter().flat_map(|(_, missing)| missing) {
        let (section, names) = definitions.source(quantity);
        if let Some(name) = names.first() {
            push_new(&mut metrics, name);
        }
        push_new(&mut sections, section);
    }
    (metrics, sections)
}

fn push_new(into: &mut Vec<String>, text: &str) {
    if !text.is_empty() && !into.iter().any(|known| known == text) {
        into.push(text.to_string());
    }
}
