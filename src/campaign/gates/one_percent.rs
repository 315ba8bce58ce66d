//! `one_percent`: there is a gap to work on.

use super::evidence::counts;
use super::running_checkout::present;
use super::{Gate, GateState, World};
use crate::campaign::events::{Citation, GapChecked, Table};
use crate::campaign::{Recorded, State};
use crate::gap::{MAX_REPEATS, ScenarioGap, Verdict};

/// The bound below which the target is behind, in percent: −ln 1.01 as a gap.
const BEHIND_PCT: f64 = 100.0 * (1.0 / 1.01 - 1.0);
/// What a cited row must explain of the gap where the interval does not decide.
const HALF_PCT: f64 = 50.0;

/// `cites` are the rows that the attempt names.
pub fn one_percent(state: &State, world: &World, cites: &[Citation]) -> GateState {
    let missing = match gap_now(state, world) {
        Err(problem) => vec![problem],
        Ok(gap) => {
            let scenarios = &gap.body.record.scenarios;
            let explains = || explained_half(state, world, cites);
            let open = scenarios.iter().any(is_clear)
                || (scenarios.iter().any(is_at_the_cap) && explains());
            if open {
                Vec::new()
            } else if scenarios.iter().any(is_at_the_cap) {
                vec![
                    "a cited row of the cross-engine comparison that explains at least half of the gap: the repeats are at the cap and the interval does not decide".to_owned(),
                ]
            } else {
                vec![format!(
                    "a scenario that is behind by more than 1% with the interval clear of it; event {} says {}",
                    gap.seq,
                    said(scenarios)
                )]
            }
        }
    };
    GateState::of(
        Gate::OnePercent,
        missing,
        "run_benchmark {\"label\": \"revalidation\"}, then check_gap {}",
    )
}

/// The newest gap decision that measured the present tree.
pub(super) fn gap_now<'a>(
    state: &'a State,
    world: &World,
) -> Result<&'a Recorded<GapChecked>, String> {
    let tree = present(world)?;
    state
        .gaps
        .iter()
        .rev()
        .find(|gap| gap.body.verified_tree() == Some(tree))
        .ok_or_else(|| {
            "a gap decision on rows that the target measured from the checkout at the present tree"
                .to_owned()
        })
}

/// Behind beyond doubt: by the interval, by one pair far off, or by the SLA.
fn is_clear(gap: &ScenarioGap) -> bool {
    let by_sla = gap.target.as_ref().is_some_and(|side| !side.sla_passed);
    gap.verdict == Verdict::Behind
        && (by_sla || gap.ci_pct.is_none_or(|[_, upper]| upper < BEHIND_PCT))
}

fn is_at_the_cap(gap: &ScenarioGap) -> bool {
    gap.n >= MAX_REPEATS && gap.gap_pct.is_some_and(|gap| gap < 0.0)
}

/// Only a report that counts explains anything.
fn explained_half(state: &State, world: &World, cites: &[Citation]) -> bool {
    let Ok(tree) = present(world) else {
        return false;
    };
    cites
        .iter()
        .filter(|citation| citation.table == Table::Comparison)
        .filter(|citation| counts(state, world, tree, citation.event))
        .filter_map(|citation| state.cited(citation).ok())
        .any(|cited| {
            cited.framework.as_deref() == Some(state.target())
                && cited.share_pct.is_some_and(|share| share >= HALF_PCT)
        })
}

fn said(scenarios: &[ScenarioGap]) -> String {
    let said: Vec<String> = scenarios
        .iter()
        .map(|gap| {
            let verdict = crate::campaign::state::snake(&gap.verdict);
            match gap.gap_pct {
                Some(pct) => format!("{} {verdict} ({pct:+.2}%)", gap.scenario),
                None => format!("{} {verdict}", gap.scenario),
            }
        })
        .collect();
    said.join(", ")
}
