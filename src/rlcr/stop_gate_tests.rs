use serde_json::json;

use super::*;

fn standing(phase: LoopPhase) -> Standing {
    Standing {
        id: "20261124_m_sota_humanize".to_owned(),
        root: PathBuf::from("/w/runs/20261124_m_sota_humanize"),
        phase,
        round: 2,
        last_event: 40,
        jobs: Vec::new(),
        humanize_active: false,
        next: "check_gap {}".to_owned(),
        missing: vec!["a gap decision at the present tree".to_owned()],
    }
}

fn conversation() -> Conversation {
    let mut conversation = Conversation::default();
    conversation.touch(&standing(LoopPhase::Running).root);
    conversation
}

fn decided(standing: &Standing) -> Decision {
    decide(
        &HookInput::default(),
        &mut conversation(),
        std::slice::from_ref(standing),
    )
}

fn release(decision: Decision) -> Release {
    match decision {
        Decision::LetGo { why, .. } => why,
        Decision::Block { reason } => panic!("blocked: {reason}"),
    }
}

#[test]
fn inside_the_loop_the_next_step_is_asked_for() {
    let Decision::Block { reason } = decided(&standing(LoopPhase::Running)) else {
        panic!("not blocked")
    };
    assert!(reason.contains("round 2"), "{reason}");
    assert!(
        reason.contains("Next required step: check_gap {}"),
        "{reason}"
    );
    assert!(
        reason.contains("Missing: a gap decision at the present tree"),
        "{reason}"
    );
}

#[test]
fn every_allowed_stop_lets_go() {
    let of = |phase| release(decided(&standing(phase)));
    assert_eq!(of(LoopPhase::NotStarted), Release::NoLoop);
    assert_eq!(of(LoopPhase::Paused), Release::Paused);
    assert_eq!(of(LoopPhase::Finished), Release::Finished);

    let mut humanize = standing(LoopPhase::Running);
    humanize.humanize_active = true;
    assert_eq!(release(decided(&humanize)), Release::HumanizeDecides);
    // Its loop ended without an allowed stop: the campaign goes on.
    humanize.humanize_active = false;
    assert!(matches!(decided(&humanize), Decision::Block { .. }));
}

#[test]
fn another_conversation_is_left_alone() {
    let decision = decide(&HookInput::default(), &mut Conversation::default(), &[]);
    assert_eq!(release(decision), Release::NoLoop);
}

#[test]
fn a_running_job_lets_go_and_says_how_to_return() {
    let mut standing = standing(LoopPhase::Running);
    standing.jobs = vec![RunningJob {
        id: "bench-1".to_owned(),
        eta_s: Some(754.0),
        follow: "run_benchmark {\"job_id\": \"bench-1\", \"wait_s\": 240}".to_owned(),
    }];
    let Decision::LetGo { why, message } = decided(&standing) else {
        panic!("blocked")
    };
    assert_eq!(why, Release::JobRunning);
    let message = message.unwrap();
    assert!(
        message.contains("bench-1 (about 12m 34s left)"),
        "{message}"
    );
    assert!(message.contains("run_benchmark {\"job_id\""), "{message}");
}

#[test]
fn background_tasks_of_the_host_let_go() {
    let input = HookInput {
        background_tasks: vec![json!({"id": "b1", "status": "running"})],
        ..HookInput::default()
    };
    let decision = decide(&input, &mut conversation(), &[standing(LoopPhase::Running)]);
    assert_eq!(release(decision), Release::BackgroundTasks);
}

#[test]
fn three_blocks_without_an_event_are_enough_until_something_happens() {
    let mut conversation = conversation();
    let mut standing = standing(LoopPhase::Running);
    let input = HookInput::default();
    for _ in 0..3 {
        let decision = decide(&input, &mut conversation, std::slice::from_ref(&standing));
        assert!(matches!(decision, Decision::Block { .. }));
    }
    for _ in 0..2 {
        let decision = decide(&input, &mut conversation, std::slice::from_ref(&standing));
        assert_eq!(release(decision), Release::BlockedEnough);
    }
    standing.last_event += 1;
    let decision = decide(&input, &mut conversation, &[standing]);
    assert!(matches!(decision, Decision::Block { .. }));
}

#[test]
fn the_campaign_touched_last_goes_first_and_any_may_block() {
    let mut older = standing(LoopPhase::Running);
    older.root = PathBuf::from("/w/runs/older");
    older.id = "older".to_owned();
    let mut conversation = Conversation::default();
    conversation.touch(&older.root);
    let newer = standing(LoopPhase::Finished);
    conversation.touch(&newer.root);
    let Decision::Block { reason } =
        decide(&HookInput::default(), &mut conversation, &[older, newer])
    else {
        panic!("not blocked")
    };
    assert!(reason.contains("Campaign older"), "{reason}");
}
