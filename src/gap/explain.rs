//! Why a scenario's gap is what it is: the timelines of one pair of runs.

use std::path::{Path, PathBuf};

use super::attribution::{Explanation, Run, explain, read_run};
use super::record::{Decision, GapRecord, ScenarioGap, Verdict};
use super::rows::{Row, Rows, Status};

/// Adds to each scenario where its time went, from the pair whose gap lies in
/// the middle. Scenarios whose rows have no timeline stay as they are; one
/// that cannot be read is a warning.
pub fn explain_gaps(record: &mut GapRecord, rows: &Rows) {
    let mut warnings = Vec::new();
    for scenario in &mut record.scenarios {
        let place = scenario.place();
        match explained(scenario, rows) {
            Ok(Some((repeat, explanation))) => {
                let told = explanation.warnings.iter();
                warnings.extend(told.map(|warning| format!("{place}: {warning}")));
                put(scenario, repeat, explanation);
            }
            Ok(None) => {}
            Err(warning) => warnings.push(format!("{place}: {warning}")),
        }
    }
    record.warnings.extend(warnings);
    if record.decision == Decision::Patch
        && let Some(next) = next(&record.scenarios)
    {
        record.next = next;
    }
}

/// What to do first for the scenario that is furthest behind, unless that is
/// to profile, which the decision says itself.
fn next(scenarios: &[ScenarioGap]) -> Option<String> {
    let worst = scenarios
        .iter()
        .filter(|scenario| scenario.verdict == Verdict::Behind)
        .min_by(|a, b| {
            let gap = |s: &ScenarioGap| s.gap_pct.unwrap_or(0.0);
            gap(a).total_cmp(&gap(b))
        })?;
    let (area, look_at) = (worst.where_to_look.as_ref()?, worst.look_at.as_ref()?);
    (area != "kernels").then(|| {
        format!(
            "{}: {} is the largest cause ({area}): {}",
            worst.place(),
            look_at.cause,
            look_at.first
        )
    })
}

/// The timelines of the target and the leader in the pair in the middle, with
/// its repeat. None where a row has none.
pub fn timelines(scenario: &ScenarioGap, rows: &Rows) -> Option<(u32, [PathBuf; 2])> {
    let (target, leader) = (scenario.target.as_ref()?, scenario.leader.as_ref()?);
    let mut pairs: Vec<_> = scenario.pairs.iter().collect();
    pairs.sort_by(|a, b| a.gap_pct.total_cmp(&b.gap_pct));
    let middle = pairs.get(pairs.len() / 2)?;
    let of = |framework: &str, candidate: &str| {
        let fits = |row: &&Row| {
            row.status == Status::Ok
                && *row.framework == *framework
                && *row.candidate_id == *candidate
                && row.repeat == middle.repeat
                && *row.workload.scenario == *scenario.scenario
                && row.workload.request_rate == scenario.request_rate
                && row.workload.max_concurrency == scenario.max_concurrency
        };
        // The last row counts where a repeat was measured again.
        let row = rows.rows.iter().rev().find(fits)?;
        row.artifacts.as_ref()?.timeline.clone()
    };
    Some((
        middle.repeat,
        [
            of(&target.framework, &target.candidate_id)?,
            of(&leader.framework, &leader.candidate_id)?,
        ],
    ))
}

fn explained(scenario: &ScenarioGap, rows: &Rows) -> Result<Option<(u32, Explanation)>, String> {
    let Some((repeat, [target, leader])) = timelines(scenario, rows) else {
        return Ok(None);
    };
    let read =
        |path: &Path| -> Result<Run, String> { read_run(path).map_err(|error| error.to_string()) };
    let explanation = explain(&read(&target)?, &read(&leader)?);
    match explanation {
        Some(explanation) => Ok(Some((repeat, explanation))),
        None => {
            Err("the runs are too short, or too unlike the model, for an attribution".to_owned())
        }
    }
}

/// A gap of less than 1% that is not shown to be behind has no causes to look
/// for; its explanation stays for who wants to see it.
fn put(scenario: &mut ScenarioGap, repeat: u32, explanation: Explanation) {
    if scenario.verdict == Verdict::Behind || !scenario.is_small() {
        scenario.attribution = Some(explanation.attribution.clone());
        scenario
            .where_to_look
            .clone_from(&explanation.where_to_look);
        scenario.look_at.clone_from(&explanation.look_at);
    }
    scenario.attributed_repeat = Some(repeat);
    scenario.explanation = Some(Box::new(explanation));
}
