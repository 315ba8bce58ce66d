//! Why a scenario's gap is what it is: the timelines of one pair of runs.

use std::path::PathBuf;

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

/// A row's timeline, and what else of the row explains it.
#[derive(Debug)]
pub struct Measured {
    pub timeline: PathBuf,
    /// Prompt tokens of the run by the server's counters.
    prompt_tokens: Option<f64>,
}

impl Measured {
    /// The counters of a run are of that run alone; its timeline may have had
    /// to count in log lines that reach into the warm-up.
    fn run(&self) -> Result<Run, String> {
        let mut run = read_run(&self.timeline).map_err(|error| error.to_string())?;
        if let Some(tokens) = self.prompt_tokens {
            run.facts.server_prompt_tokens = Some(tokens);
        }
        Ok(run)
    }
}

/// The target's and the leader's run of the pair in the middle, with its
/// repeat. None where a row has no timeline.
pub fn middle_pair(scenario: &ScenarioGap, rows: &Rows) -> Option<(u32, [Measured; 2])> {
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
        Some(Measured {
            timeline: row.artifacts.as_ref()?.timeline.clone()?,
            prompt_tokens: row.server_counts.as_ref().and_then(|own| own.prompt_tokens),
        })
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
    let Some((repeat, [target, leader])) = middle_pair(scenario, rows) else {
        return Ok(None);
    };
    let explanation = explain(&target.run()?, &leader.run()?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_a_row_win_over_its_timeline() {
        let dir = tempfile::tempdir().unwrap();
        let timeline = dir.path().join("chat-0.timeline.jsonl");
        let lines = r#"{"kind":"run","version":1,"framework":"vllm","duration_s":2.0,"requests":1,"server_prompt_tokens":88083.0}
{"kind":"request","index":0,"sent":0.0,"first":0.5,"end":2.0,"prompt":80000,"output":10}
{"kind":"window","from":0.0,"to":2.0,"waiting":0.0,"prefilling":0.0,"decoding":1.0,"tokens":10.0,"context":80000.0,"prompt_tokens":80000.0,"idle":0.0}
"#;
        std::fs::write(&timeline, lines).unwrap();
        let counted = |prompt_tokens| {
            let timeline = timeline.clone();
            let measured = Measured {
                timeline,
                prompt_tokens,
            };
            measured.run().unwrap().facts.server_prompt_tokens
        };
        assert_eq!(counted(None), Some(88_083.0));
        assert_eq!(counted(Some(80_000.0)), Some(80_000.0));
    }
}
