//! Where the wall time between two runs went, by cause.
//!
//! Each run's timeline gives an engine as a few measured numbers: seconds of a
//! prompt token, the time of a decode step by batch and context, the room in
//! its KV cache, how it admits. [`replay`](replay::replay) computes a run's
//! wall time from them. Exchanging them one by one between target and leader,
//! averaged over all orders, splits the difference into causes that sum to it
//! exactly; what the model does not reproduce is `unexplained`.
//! `docs/attribution.md` states the model and its limits.

mod admission;
mod causes;
mod least_squares;
mod longer_prompts;
mod model;
mod observe;
mod prefill;
mod record;
mod replay;
mod run;
mod shapley;
mod stalls;
mod surface;
mod unequal_prompts;
mod where_to_look;

pub use record::{Explanation, ModelFit, RunView, WhatIf};
pub use run::{MAX_REQUESTS, Run, parse_run, read_run};
pub use unequal_prompts::UnequalPrompts;
pub use where_to_look::LookAt;
pub(super) use where_to_look::PLACES;

use longer_prompts::LongerPrompts;
use model::{Factor, Side, differences, exchanged, sides};
use replay::{Outcome, replay};

/// Replayed requests that one attribution may cost.
const MOST_REPLAYED: usize = 12_000_000;

/// Splits the difference in wall time between two runs over its causes.
/// None when neither run decoded long enough to measure a step, or the model
/// does not come to an end.
pub fn explain(target: &Run, leader: &Run) -> Option<Explanation> {
    let sides = sides(target, leader)?;
    let mut factors = differences(&sides[0], &sides[1]);
    let longer = LongerPrompts::of(&sides)?;
    longer.add_to(&mut factors);
    let whole = replay_of(&sides[0])?;
    let none = replay_of(&sides[1])?;
    let budget = MOST_REPLAYED / target.requests.len().max(1);
    let shares = shapley::shapley(factors.len(), budget.max(64), |mask| {
        wall(&sides, &factors, longer, mask)
    })?;
    let difference = target.facts.duration_s - leader.facts.duration_s;
    let causes = causes::Causes {
        runs: [target, leader],
        sides: &sides,
        outcomes: [whole, none],
        difference,
        longer,
    };
    let attribution = causes.rows(&factors, &shares);
    let (where_to_look, mut look_at) = where_to_look::of(&attribution, difference, target.name());
    let unequal_prompts = UnequalPrompts::of([target, leader], &sides, whole.wall_s);
    let mut warnings = observe::warnings(target, leader, &sides);
    if let Some(unequal) = &unequal_prompts {
        warnings.insert(0, unequal.told(target.name(), leader.name()));
        if let Some(look_at) = look_at.as_mut().filter(|_| unequal.come_first()) {
            look_at.first = format!("make the prompts equal, then {}", look_at.first);
        }
    }
    let mut explanation = Explanation {
        target: observe::view(target),
        leader: observe::view(leader),
        difference_s: difference,
        model: ModelFit::new(
            [whole.wall_s, none.wall_s],
            [target.facts.duration_s, leader.facts.duration_s],
        ),
        what_if: what_if(&sides, &factors, longer, whole),
        observations: observe::observations(target, leader),
        warnings,
        unequal_prompts,
        attribution,
        where_to_look,
        look_at,
    };
    if explanation.is_within_the_models_error() {
        explanation.warnings.push(format!(
            "the difference of {difference:+.2} s is smaller than what the model misses of the two runs: its causes say little"
        ));
    }
    Some(explanation)
}

fn replay_of(side: &Side) -> Option<Outcome> {
    replay(&side.engine, &side.workload)
}

fn wall(sides: &[Side; 2], factors: &[Factor], longer: LongerPrompts, mask: u32) -> Option<f64> {
    let (engine, workload) = exchanged(&sides[0], &sides[1], factors, longer, mask);
    Some(replay(&engine, &workload)?.wall_s)
}

/// The target's wall time with one thing at a time as the leader has it.
fn what_if(
    sides: &[Side; 2],
    factors: &[Factor],
    longer: LongerPrompts,
    whole: Outcome,
) -> Vec<WhatIf> {
    let [target, leader] = sides;
    let all = (1_u32 << factors.len()) - 1;
    let mut changes: Vec<WhatIf> = factors
        .iter()
        .enumerate()
        .filter_map(|(i, factor)| {
            // The target keeps its prompts: they are a change of their own.
            let (mut engine, workload) =
                exchanged(target, leader, factors, longer, all & !(1 << i));
            engine.prompt_scale = target.engine.prompt_scale;
            let wall_s = replay(&engine, &workload)?.wall_s;
            Some(WhatIf::new(causes::change(*factor), wall_s, whole.wall_s))
        })
        .collect();
    if longer != LongerPrompts::None {
        let mut engine = target.engine.clone();
        engine.prompt_scale = leader.engine.prompt_scale;
        let outcome = replay(&engine, &target.workload);
        changes.extend(outcome.map(|outcome| {
            WhatIf::new(
                "prompts of as many tokens on the server as the leader's",
                outcome.wall_s,
                whole.wall_s,
            )
        }));
    }
    changes.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    changes
}
