use serde_json::{Value, json};

use super::*;
use crate::campaign::events::{BenchmarkLabel, BenchmarkStarted, Finished, Outcome, SotaAnswer};
use crate::rlcr::sample::Sample;
use crate::rlcr::{pause, resume};

fn hook(sample: &Sample, event: &str, session: &str, more: Value) -> HookOutput {
    let mut input = json!({"hook_event_name": event, "session_id": session, "cwd": "/"});
    if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
        input.extend(more.clone());
    }
    let input = HookInput::parse(input.to_string().as_bytes()).unwrap();
    let project = sample.dir.path().join("workspace");
    answer(&input, &sample.state_dir(), Some(&project)).unwrap()
}

fn touch(sample: &Sample, session: &str) {
    let more = json!({
        "tool_name": "mcp__plugin_sota-loop_sota-loop__campaign",
        "tool_input": {"action": "status"},
        "tool_response": {"campaign": sample.campaign.id, "root": sample.campaign.root},
    });
    assert_eq!(
        hook(sample, "PostToolUse", session, more),
        HookOutput::default()
    );
}

fn stop(sample: &Sample, session: &str) -> HookOutput {
    hook(sample, "Stop", session, json!({}))
}

fn blocks(output: &HookOutput) -> bool {
    output.decision == Some("block")
}

#[test]
fn a_conversation_is_held_in_the_loop_that_it_touched_and_no_other() {
    let sample = Sample::in_loop();
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    touch(&sample, "mine");
    let output = stop(&sample, "mine");
    assert!(blocks(&output), "{output:?}");
    let reason = output.reason.unwrap();
    assert!(reason.contains(&sample.campaign.id), "{reason}");
    assert_eq!(stop(&sample, "another"), HookOutput::default());
    assert_eq!(stop(&sample, ""), HookOutput::default());
}

#[test]
fn before_the_loop_nobody_is_held() {
    let sample = Sample::opened();
    touch(&sample, "mine");
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
}

#[test]
fn a_pause_lets_go_and_a_resume_holds_again() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    assert!(
        pause(&sample.campaign, "the user went home")
            .unwrap()
            .is_empty()
    );
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    assert_eq!(pause(&sample.campaign, "again").unwrap().len(), 1);
    assert!(resume(&sample.campaign, None).unwrap().is_empty());
    assert!(blocks(&stop(&sample, "mine")));
    assert_eq!(resume(&sample.campaign, None).unwrap().len(), 1);
}

#[test]
fn an_abandoned_campaign_lets_go() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    sample.note(&Finished {
        outcome: Outcome::Abandoned,
        answer: SotaAnswer::No,
        reason: "no time".to_owned(),
        evidence: Vec::new(),
        report_path: sample.campaign.root.join("final_report.md"),
    });
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    assert!(pause(&sample.campaign, "late").is_err());
}

#[test]
fn a_running_job_lets_go_and_a_lost_one_does_not() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    sample.note(&BenchmarkStarted {
        job_id: "bench-1".to_owned(),
        label: BenchmarkLabel::Revalidation,
        workload_sha256: String::new(),
        frameworks: Vec::new(),
        cost: Value::Null,
    });
    let folder = sample.campaign.root.join("jobs/bench-1");
    let status = json!({
        "state": "running", "message": "chat", "progress": {"done": 1.0, "total": 4.0, "eta_s": 61.0},
        "pid": 1, "started": "", "updated": "",
    });
    crate::disk::write_atomic(&folder.join("status.json"), status.to_string().as_bytes()).unwrap();
    let supervisor = std::fs::File::create(folder.join("lock")).unwrap();
    supervisor.lock().unwrap();
    let output = stop(&sample, "mine");
    assert!(!blocks(&output));
    let message = output.system_message.unwrap();
    assert!(
        message.contains("bench-1 (about 1m 1s left); return with run_benchmark"),
        "{message}"
    );
    // A child that another test starts at this moment holds the file, too.
    supervisor.unlock().unwrap();
    assert!(blocks(&stop(&sample, "mine")));
}

#[test]
fn work_of_the_host_in_the_background_lets_go() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    let tasks = |status: &str| json!({"background_tasks": [{"id": "b", "status": status}]});
    assert!(!blocks(&hook(&sample, "Stop", "mine", tasks("running"))));
    assert!(blocks(&hook(&sample, "Stop", "mine", tasks("completed"))));
}

#[test]
fn the_fourth_block_in_a_row_lets_go_until_something_happens() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    for _ in 0..3 {
        assert!(blocks(&stop(&sample, "mine")));
    }
    let output = stop(&sample, "mine");
    assert!(!blocks(&output));
    assert!(output.system_message.unwrap().contains("3 reminders"));
    sample.end_round("tried something");
    assert!(blocks(&stop(&sample, "mine")));
}

#[test]
fn humanizes_own_hook_decides_while_its_loop_is_active() {
    let sample = Sample::opened();
    let state = sample.begin_humanize();
    touch(&sample, "mine");
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    let folder = state.parent().unwrap();
    std::fs::rename(&state, folder.join("finalize-state.md")).unwrap();
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    std::fs::rename(
        folder.join("finalize-state.md"),
        folder.join("complete-state.md"),
    )
    .unwrap();
    let output = stop(&sample, "mine");
    assert!(blocks(&output), "{output:?}");
    // What happened there becomes an event; the next loop goes on from it.
    assert_eq!(
        rounds::observe(&sample.campaign).unwrap().as_deref(),
        Some("complete")
    );
    assert_eq!(rounds::observe(&sample.campaign).unwrap(), None);
    let reason = stop(&sample, "mine").reason.unwrap();
    assert!(reason.contains("\"action\": \"start_loop\""), "{reason}");
}

#[test]
fn a_broken_log_is_an_error_that_the_command_turns_into_letting_go() {
    let sample = Sample::in_loop();
    touch(&sample, "mine");
    let log = sample.campaign.log();
    let text = std::fs::read_to_string(log.path()).unwrap();
    std::fs::write(log.path(), text.replace("sim-8b", "sim-9b")).unwrap();
    let input = json!({"hook_event_name": "Stop", "session_id": "mine"});
    let input = HookInput::parse(input.to_string().as_bytes()).unwrap();
    assert!(answer(&input, &sample.state_dir(), None).is_err());
    // A campaign that is gone altogether holds nobody.
    std::fs::remove_dir_all(&sample.campaign.root).unwrap();
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
}

#[test]
fn calls_outside_the_campaign_touch_nothing() {
    let sample = Sample::in_loop();
    let alone = json!({
        "tool_name": "mcp__sota-loop__check_gap",
        "tool_input": {"rows": "/elsewhere/candidates.jsonl"},
        "tool_response": {"decision": "patch"},
    });
    hook(&sample, "PostToolUse", "mine", alone);
    assert_eq!(stop(&sample, "mine"), HookOutput::default());
    let inside = json!({
        "tool_name": "mcp__sota-loop__check_gap",
        "tool_input": {},
        "tool_response": "{\"decision\": \"patch\"}",
    });
    hook(&sample, "PostToolUse", "mine", inside);
    assert!(blocks(&stop(&sample, "mine")));
}
