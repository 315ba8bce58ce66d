//! The hook command and the companions, by the program itself.

use serde_json::{Value, json};

use crate::support::Home;

fn opened(home: &Home) -> Value {
    let open = json!({
        "action": "open", "model": "sim-8b", "precision": "bf16",
        "hardware": {"gpu_model": "none"}, "comparison_frameworks": ["vllm"],
    });
    home.call("campaign", &open).unwrap()
}

#[test]
fn a_gate_that_cannot_read_its_input_lets_go_and_says_so() {
    let home = Home::new();
    for input in ["", "no json", "[1]", "{\"session_id\": 7}"] {
        let output = home.gate(input);
        assert_eq!(output["decision"], Value::Null, "{input}: {output}");
        let message = output["systemMessage"].as_str().unwrap();
        assert!(message.contains("is broken and lets go"), "{message}");
    }
}

#[test]
fn a_gate_on_a_campaign_that_was_edited_lets_go_and_says_so() {
    let home = Home::new();
    let campaign = opened(&home);
    let touch = json!({
        "hook_event_name": "PostToolUse", "session_id": "mine",
        "tool_name": "mcp__sota-loop__campaign", "tool_input": {"action": "open"},
        "tool_response": campaign,
    });
    assert_eq!(home.gate(&touch.to_string()), json!({}));
    let stop = json!({"hook_event_name": "Stop", "session_id": "mine", "stop_hook_active": false});
    assert_eq!(home.gate(&stop.to_string()), json!({}));
    let log = campaign["log_path"].as_str().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    std::fs::write(log, text.replace("sim-8b", "sim-9b")).unwrap();
    let output = home.gate(&stop.to_string());
    let message = output["systemMessage"].as_str().unwrap();
    assert!(message.contains("lineage.jsonl:1"), "{message}");
    let other = json!({"hook_event_name": "Stop", "session_id": "another"});
    assert_eq!(home.gate(&other.to_string()), json!({}));
}

#[test]
fn status_shows_the_companions_and_how_each_was_found() {
    let home = Home::new();
    let skill = home.path("home/.claude/skills/ncu-report-skill");
    std::fs::create_dir_all(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "x").unwrap();
    let campaign = opened(&home);
    let found = &campaign["companions"];
    assert_eq!(found["humanize"], Value::Null);
    assert_eq!(
        found["ncu_report_skill"],
        json!({"path": skill, "found_by": "claude_skill"})
    );
    let wrong = json!({"action": "status", "companions": {"humanize": "/nowhere"}});
    let status = home.call("campaign", &wrong).unwrap();
    assert_eq!(status["companions"]["humanize"], Value::Null);
    let warning = status["warnings"].to_string();
    assert!(
        warning.contains("/nowhere, which the argument names"),
        "{warning}"
    );
}
