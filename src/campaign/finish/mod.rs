//! `campaign finish`: the outcome, held against the evidence, and the report.

mod report;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::events::{Finished, Outcome, SotaAnswer};
use super::gates::{self, World};
use super::log::NewEvent;
use super::{Campaign, State, jobs, render};
use crate::disk;
use crate::fault::{Fault, FaultCode};

/// How a campaign is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    pub outcome: Outcome,
    /// In a few sentences: why it ends so.
    pub reason: String,
    /// Numbers of events that show it; `external` needs its blocker.
    #[serde(default)]
    pub evidence: Vec<u64>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinishRecord {
    pub outcome: Outcome,
    /// Whether the target is the state of the art in this environment.
    pub answer: SotaAnswer,
    pub report_path: PathBuf,
    pub event: u64,
    pub warnings: Vec<String>,
}

/// Ends the campaign, if the evidence allows the outcome.
pub fn finish(campaign: &Campaign, request: &FinishRequest) -> Result<FinishRecord, Fault> {
    jobs::settle(campaign)?;
    let log = campaign.log();
    let report_path = campaign.root.join("final_report.md");
    let appended = log.append_after(|events| -> Result<_, Fault> {
        let state = State::fold(log.path(), events)?;
        let world = campaign.look(&state);
        check(&state, &world, request)?;
        let body = Finished {
            outcome: request.outcome,
            answer: answer(request.outcome),
            reason: request.reason.clone(),
            evidence: request.evidence.clone(),
            report_path: report_path.clone(),
        };
        let text = report::render(campaign, &state, &world, &body);
        disk::write_atomic(&report_path, text.as_bytes())?;
        Ok(Some(
            NewEvent::of(&body)
                .in_round(Some(state.round()))
                .at(world.checkout.commit(), world.checkout.tree())
                .on(&report_path),
        ))
    })?;
    let rendered = render::all(campaign, &campaign.state()?)?;
    Ok(FinishRecord {
        outcome: request.outcome,
        answer: answer(request.outcome),
        report_path,
        event: appended.map_or(0, |appended| appended.event.seq),
        warnings: rendered.warnings,
    })
}

fn check(state: &State, world: &World, request: &FinishRequest) -> Result<(), Fault> {
    let invalid =
        |problem: String, hint: &str| Fault::new(FaultCode::InvalidArgument, problem, hint);
    if let Some(finished) = &state.finished {
        return Err(invalid(
            format!("the campaign was finished at event {}", finished.seq),
            "open a new campaign with supersedes",
        ));
    }
    if request.reason.trim().is_empty() {
        return Err(invalid(
            "reason is empty".to_owned(),
            "say in a sentence why it ends so",
        ));
    }
    if let Some(unknown) = request
        .evidence
        .iter()
        .find(|seq| **seq == 0 || **seq > state.events)
    {
        return Err(invalid(
            format!(
                "evidence: there is no event {unknown}; the log has {}",
                state.events
            ),
            "give numbers of events, as update_ledger and check_gap returned them",
        ));
    }
    match request.outcome {
        Outcome::Success | Outcome::Tied => gates::require([
            gates::unclaimed_change(state, world),
            gates::strict_success(state, world, Some(request.outcome)),
        ])?,
        Outcome::External | Outcome::AtLimit => gates::require([
            gates::unclaimed_change(state, world),
            gates::external(state, world, request.outcome, &request.evidence),
        ])?,
        Outcome::Abandoned => {}
    }
    Ok(())
}

fn answer(outcome: Outcome) -> SotaAnswer {
    match outcome {
        Outcome::Success => SotaAnswer::Yes,
        Outcome::Tied => SotaAnswer::Tied,
        Outcome::External | Outcome::AtLimit | Outcome::Abandoned => SotaAnswer::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::events::{AttemptOutcome, BenchmarkLabel};
    use crate::campaign::sample::*;
    use crate::gap::Verdict;

    fn refused(state: &State, world: &World, outcome: Outcome, wanted: &str) {
        let request = FinishRequest {
            outcome,
            reason: "because".to_owned(),
            evidence: Vec::new(),
        };
        let fault = check(state, world, &request).unwrap_err();
        assert!(fault.message.contains(wanted), "{}", fault.message);
    }

    #[test]
    fn every_outcome_but_abandoned_needs_its_evidence() {
        let (state, world) = ready();
        refused(&state, &world, Outcome::Success, "gate `strict_success`");
        refused(&state, &world, Outcome::Tied, "gate `strict_success`");
        refused(&state, &world, Outcome::External, "gate `external`");
        refused(&state, &world, Outcome::AtLimit, "kernel `gemm`");
        let mut request = FinishRequest {
            outcome: Outcome::Abandoned,
            reason: "no time".to_owned(),
            evidence: Vec::new(),
        };
        check(&state, &world, &request).unwrap();
        request.evidence = vec![99];
        assert!(check(&state, &world, &request).is_err());
        request.reason.clear();
        assert!(check(&state, &world, &request).is_err());
    }

    fn tied_report(state: &State, world: &World) -> String {
        let body = Finished {
            outcome: Outcome::Tied,
            answer: SotaAnswer::Tied,
            reason: "the norm is fused".to_owned(),
            evidence: vec![23],
            report_path: PathBuf::from("/c/final_report.md"),
        };
        let campaign = Campaign::at(std::path::Path::new("/c/20261124_qwen3-8b_sota_humanize"));
        report::render(&campaign, state, world, &body)
    }

    #[test]
    fn a_final_report() {
        let (state, world) = tried();
        insta::assert_snapshot!(tied_report(&state, &world));
    }

    /// The gate lets a campaign end as tied once the target is shown to be no
    /// more than 1% behind; the report says no more than that.
    #[test]
    fn gap_gate_and_report_say_the_same_of_an_interval_above_one_percent() {
        let (mut state, world) = tried();
        let wide = scenario(Verdict::Undecided, 0.6, 0.9);
        state.gaps[2].body = gap(BenchmarkLabel::Revalidation, OTHER_TREE, wide);
        let mut closed = event(24, closed("a1", true, AttemptOutcome::Win));
        closed.tree = Some(OTHER_TREE.to_owned());
        state.attempts_closed = vec![closed];
        let gate = gates::strict_success(&state, &world, Some(Outcome::Tied));
        assert!(gate.open, "{gate:?}");
        let text = tied_report(&state, &world);
        assert!(
            text.contains("no more than 1% behind the leader in any scenario"),
            "{text}"
        );
        assert_eq!(text.matches("undecided, not behind").count(), 2, "{text}");
    }
}
