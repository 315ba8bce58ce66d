use super::*;
use crate::campaign::events::{Finished, Outcome, SotaAnswer};
use crate::campaign::gates::{Gate, GateState};
use crate::rlcr::sample::Sample;
use crate::rlcr::state_file::active_states;

fn passing() -> Review {
    let gates: Vec<GateState> = Gate::ALL
        .iter()
        .map(|gate| GateState::of(*gate, Vec::new(), ""))
        .collect();
    Review::of(0, &gates, None, false)
}

fn folder_of(sample: &Sample) -> PathBuf {
    let state = sample.campaign.state().unwrap();
    folder(state.current_loop().unwrap())
}

#[test]
fn a_round_that_ends_leaves_summary_and_review_and_hands_out_the_next() {
    let sample = Sample::in_loop();
    sample.end_round("Fused the norm;\nstill behind.");
    let mut review = passing();
    review.items[0].holds = false;
    review.items[0].missing = vec!["attempt a1 is open".to_owned()];
    let prompt = advance(&sample.campaign, &review).unwrap().unwrap();
    let text = std::fs::read_to_string(&prompt).unwrap();
    assert!(text.starts_with("# Round 1 of campaign "), "{text}");
    assert!(
        text.contains("Last round: Fused the norm; still behind."),
        "{text}"
    );
    assert!(text.contains("Planned patch: fuse the rope"), "{text}");
    assert!(
        text.contains("- every attempt is closed: attempt a1 is open"),
        "{text}"
    );
    let folder = folder_of(&sample);
    for name in [
        "round-0-summary.md",
        "round-0-review.md",
        "round-1-prompt.md",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    let state = sample.campaign.state().unwrap();
    let reviewed = state.reviews.last().unwrap();
    assert_eq!((reviewed.round, reviewed.body.passed), (Some(0), false));
    assert_eq!(state.rounds_started.last().unwrap().round, Some(1));
    assert_eq!(present_prompt(&state), Some(prompt));
}

#[test]
fn the_forty_second_round_ends_the_loop_and_another_may_begin() {
    let sample = Sample::in_loop();
    let folder = folder_of(&sample);
    for round in 0..MAX_ROUNDS {
        sample.end_round("tried");
        let prompt = advance(&sample.campaign, &passing()).unwrap();
        assert_eq!(prompt.is_some(), round + 1 < MAX_ROUNDS, "round {round}");
    }
    assert!(folder.join("maxiter-state.md").is_file());
    let last = std::fs::read_to_string(folder.join("finalize-summary.md")).unwrap();
    assert!(last.contains("maxiter after round 41"), "{last}");
    let state = sample.campaign.state().unwrap();
    assert!(!state.in_loop());
    assert_eq!(state.loops_ended.last().unwrap().body.terminal, "maxiter");
    let full: Vec<Option<u32>> = state
        .rounds_started
        .iter()
        .filter(|round| round.body.full_alignment)
        .map(|round| round.round)
        .collect();
    assert_eq!(full[..3], [Some(4), Some(9), Some(14)]);

    // The next loop counts its own 42 rounds.
    sample.begin_builtin();
    sample.end_round("again");
    assert!(advance(&sample.campaign, &passing()).unwrap().is_some());
}

#[test]
fn the_end_of_the_campaign_ends_the_loop() {
    let sample = Sample::in_loop();
    sample.note(&Finished {
        outcome: Outcome::Tied,
        answer: SotaAnswer::Tied,
        reason: "within 1%".to_owned(),
        evidence: Vec::new(),
        report_path: sample.campaign.root.join("final_report.md"),
    });
    assert!(finished(&sample.campaign).unwrap().is_empty());
    assert!(active_states(&sample.checkout()).is_empty());
    let text = std::fs::read_to_string(folder_of(&sample).join("finalize-summary.md")).unwrap();
    assert!(text.contains("Outcome: tied. within 1%"), "{text}");
    assert!(finished(&sample.campaign).unwrap().is_empty());
}

#[test]
fn humanizes_files_are_its_own() {
    let sample = Sample::opened();
    let state = sample.begin_humanize();
    sample.end_round("one");
    assert_eq!(advance(&sample.campaign, &passing()).unwrap(), None);
    let left: Vec<_> = std::fs::read_dir(state.parent().unwrap())
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!(sample.campaign.state().unwrap().reviews.len(), 1);
    sample.note(&Finished {
        outcome: Outcome::Abandoned,
        answer: SotaAnswer::No,
        reason: "no time".to_owned(),
        evidence: Vec::new(),
        report_path: sample.campaign.root.join("final_report.md"),
    });
    let warnings = finished(&sample.campaign).unwrap();
    assert!(warnings[0].contains("own cancel command"), "{warnings:?}");
    assert!(state.is_file());
}
