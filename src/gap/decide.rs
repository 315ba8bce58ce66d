//! From the scenarios' verdicts to what should be done, and the plateau state.

use super::MIN_IMPROVEMENT_PCT;
use super::fairness::CLIENT;
use super::record::{Decision, Plateau, RoundProgress, ScenarioGap, Verdict};

/// A decision, its reason and the next call.
pub struct Outcome {
    pub decision: Decision,
    pub reason: String,
    pub next: String,
}

/// Decides in this order: a comparison that is unfair says nothing; a scenario
/// that is behind can be worked on whatever the others say; then what blocks,
/// then what needs more repeats.
pub fn decide(scenarios: &[ScenarioGap], target: &str) -> Outcome {
    let named = |keep: &dyn Fn(&ScenarioGap) -> bool| -> Vec<String> {
        scenarios
            .iter()
            .filter(|gap| keep(gap))
            .map(ScenarioGap::place)
            .collect()
    };
    let unfair: Vec<&ScenarioGap> = scenarios
        .iter()
        .filter(|gap| !gap.fairness.is_empty())
        .collect();
    if !unfair.is_empty() {
        return not_comparable(&unfair);
    }
    let behind = named(&|gap| gap.verdict == Verdict::Behind);
    if !behind.is_empty() {
        return outcome(
            Decision::Patch,
            format!("{target} is behind in {}", behind.join(", ")),
            behind_next(scenarios),
        );
    }
    let blocked = named(&|gap| gap.verdict == Verdict::Blocked);
    if !blocked.is_empty() || scenarios.is_empty() {
        return outcome(
            Decision::Blocked,
            format!("no gap can be computed in {}", blocked.join(", ")),
            "see scenarios[].reason and the failed rows in summary.md; run_benchmark again once \
             every framework has an ok row that passes the SLA",
        );
    }
    if scenarios.iter().all(|gap| gap.not_behind) {
        return outcome(
            Decision::StopSuccess,
            format!("{target} is not behind by more than 1% in any scenario"),
            "campaign {action: finish, outcome: success or tied} in a campaign; otherwise done",
        );
    }
    rerun(scenarios, named(&|gap| !gap.not_behind))
}

/// Names the fields that differ, and what to do about them.
fn not_comparable(unfair: &[&ScenarioGap]) -> Outcome {
    let places: Vec<String> = unfair
        .iter()
        .map(|gap| {
            let fields: Vec<&str> = gap.fairness.iter().map(|one| &*one.field).collect();
            format!("{} ({})", gap.place(), fields.join(", "))
        })
        .collect();
    let by_two_clients = unfair
        .iter()
        .flat_map(|gap| &gap.fairness)
        .any(|one| one.field == CLIENT);
    let next = if by_two_clients {
        "measure both sides by one client: run_benchmark does; two clients differ in their \
         prompts and in what they call TTFT, TPOT and throughput"
    } else {
        "make the fields in scenarios[].fairness equal in the plan, or declare them when the \
         campaign is opened, then run_benchmark again"
    };
    outcome(
        Decision::FixFairness,
        format!("the runs are not comparable in {}", places.join(", ")),
        next,
    )
}

fn behind_next(scenarios: &[ScenarioGap]) -> &'static str {
    let only_sla = scenarios
        .iter()
        .filter(|gap| gap.verdict == Verdict::Behind)
        .all(|gap| gap.target.as_ref().is_some_and(|side| !side.sla_passed));
    if only_sla {
        "see target.failures and the server log: mend what made the target fail or miss the SLA"
    } else {
        "profile the target and the leader in the slowest scenario, then analyze_pipeline"
    }
}

fn rerun(scenarios: &[ScenarioGap], open: Vec<String>) -> Outcome {
    let most = scenarios.iter().filter_map(|gap| gap.repeats_needed).max();
    let next = match most {
        Some(repeats) => format!("run_benchmark with repeats {repeats}, then check_gap again"),
        None => {
            "the cap of 10 repeats is reached: lower the noise (fixed clocks, an idle machine, \
                 more prompts) and run_benchmark again"
                .to_owned()
        }
    };
    outcome(
        Decision::Rerun,
        format!(
            "the interval still reaches below −1% in {}",
            open.join(", ")
        ),
        next,
    )
}

fn outcome(decision: Decision, reason: String, next: impl Into<String>) -> Outcome {
    Outcome {
        decision,
        reason,
        next: next.into(),
    }
}

/// Counts the weak rounds at the end; two in a row are a plateau.
pub fn plateau(rounds: &[RoundProgress]) -> Plateau {
    let weak = rounds
        .iter()
        .rev()
        .take_while(|round| round.improvement_pct.unwrap_or(0.0) < MIN_IMPROVEMENT_PCT)
        .count();
    Plateau {
        rounds: rounds.len() as u32,
        weak_rounds: weak as u32,
        reached: weak >= 2,
    }
}
