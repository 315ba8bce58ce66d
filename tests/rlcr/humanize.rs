//! Humanize drives the loop: `campaign start_loop` over MCP, against a stand-in
//! script with the contract of Humanize 1.16.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sota_loop::demo::{Agent, Play, Stage};
use sota_loop::fault::Fault;

use crate::support::Home;
use crate::walk::{Client, stage, tell};

const STANDIN: &str = include_str!("../fixtures/rlcr/setup-rlcr-loop.sh");

fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A runtime's folder with this setup script.
fn runtime(home: &Home, name: &str, script: &str) -> PathBuf {
    let folder = home.path(name);
    program(&folder.join("scripts/setup-rlcr-loop.sh"), script);
    folder
}

/// What Humanize looks for on PATH and what nobody calls here.
fn programs(home: &Home) -> PathBuf {
    let folder = home.path("bin");
    for name in ["codex", "jq"] {
        program(&folder.join(name), "#!/bin/sh\n");
    }
    folder
}

/// One conversation with a campaign whose loop Humanize drives.
struct Walk<'a> {
    home: &'a Home,
    stage: &'a Stage,
    client: Client,
}

impl Walk<'_> {
    async fn call(&self, tool: &str, mut arguments: Value) -> Result<Value, Fault> {
        arguments["workspace"] = json!(self.stage.workspace);
        self.client.call(tool, arguments).await
    }

    async fn start(&self, runtime: &Path) -> Result<Value, Fault> {
        let request = json!({
            "action": "start_loop", "runtime": "humanize", "base_branch": "main",
            "companions": {"humanize": runtime},
        });
        self.call("campaign", request).await
    }

    /// Starts a loop; its `state.md` and the setup's arguments, from the log.
    async fn started(&self, runtime: &Path) -> (PathBuf, Vec<String>) {
        let record = self.start(runtime).await.unwrap();
        let begun = &record["started_loop"];
        assert_eq!(begun["runtime"], "humanize", "{record}");
        assert_eq!(begun["started"], true, "{record}");
        let path = |key: &str| PathBuf::from(begun[key].as_str().unwrap());
        let plan = std::fs::read_to_string(path("plan_path")).unwrap();
        assert!(plan.lines().count() >= 5 && plan.contains("sim-8b"));
        let state = path("state_path");
        assert!(state.is_file() && path("prompt_path").is_file());
        assert!(state.starts_with(self.stage.checkout.join(".humanize/rlcr")));
        assert_eq!(self.stage.git(&["status", "--porcelain"]).unwrap(), "");

        let log = std::fs::read_to_string(record["log_path"].as_str().unwrap()).unwrap();
        let event: Value = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .rfind(|event| event["kind"] == "loop_started")
            .unwrap();
        let setup = &event["body"]["setup"];
        assert_eq!(setup["exit"], 0, "{event}");
        let output = std::fs::read_to_string(setup["log"].as_str().unwrap()).unwrap();
        assert!(output.contains("start-rlcr-loop activated"), "{output}");
        (
            state,
            serde_json::from_value(setup["argv"].clone()).unwrap(),
        )
    }

    async fn end_round(&self) -> Result<Value, Fault> {
        let ended = json!({"kind": "round_end", "summary": "looked at the norm"});
        self.call("update_ledger", ended).await
    }

    fn touch(&self, campaign: &Value) {
        let touch = json!({
            "hook_event_name": "PostToolUse", "session_id": "mine",
            "tool_name": "mcp__sota-loop__campaign", "tool_input": {"action": "start_loop"},
            "tool_response": {"root": campaign["root"]},
        });
        assert_eq!(self.home.gate(&touch.to_string()), json!({}));
    }

    fn stop(&self) -> Value {
        let stop = json!({"hook_event_name": "Stop", "session_id": "mine"});
        self.home.gate(&stop.to_string())
    }
}

fn code(fault: &Fault) -> String {
    json!(fault.error).as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn humanize_is_called_as_its_version_allows_and_its_loop_is_the_campaigns() {
    let home = Home::new();
    let stage = stage(&home);
    let bin = programs(&home);
    let plain = runtime(&home, "humanize-1.16", STANDIN);
    let strict = runtime(&home, "humanize-strict", STANDIN);
    std::fs::write(strict.join("scripts/STANDIN_STRICT"), "").unwrap();

    // The agent is open in the workspace, where Humanize's hooks would look.
    let outside = Client::connect(&home, &stage, &stage.workspace, Some(&bin)).await;
    Play::new(&outside, &stage, tell)
        .to_baseline()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let walk = Walk {
        home: &home,
        stage: &stage,
        client: outside,
    };
    let fault = walk.start(&plain).await.unwrap_err();
    assert_eq!(code(&fault), "project_mismatch", "{fault:?}");

    // It is open in the checkout.
    let client = Client::connect(&home, &stage, &stage.checkout, Some(&bin)).await;
    let walk = Walk { client, ..walk };
    let refusing = "#!/bin/sh\necho 'Error: not on a Tuesday' >&2\nexit 1\n";
    let fault = walk
        .start(&runtime(&home, "refusing", refusing))
        .await
        .unwrap_err();
    assert_eq!(code(&fault), "loop_setup_failed", "{fault:?}");
    assert!(fault.message.contains("not on a Tuesday"), "{fault:?}");
    assert!(walk.end_round().await.is_err(), "no loop was started");

    // A version that does not know --strict-success would end with 1 on it.
    let (state, argv) = walk.started(&plain).await;
    assert_eq!(
        argv[1..],
        [
            ".humanize/sglang-sota-agent/refined-plan.md",
            "--yolo",
            "--base-branch",
            "main"
        ]
    );
    let status = walk
        .call("campaign", json!({"action": "status"}))
        .await
        .unwrap();
    assert_eq!(status["phase"], "loop", "{status}");
    let again = walk.start(&plain).await.unwrap();
    assert_eq!(again["started_loop"]["started"], false, "{again}");
    walk.touch(&status);
    assert_eq!(walk.stop(), json!({}), "Humanize's own hook decides");
    walk.end_round().await.unwrap();

    // Humanize has ended its loop; the campaign is at no allowed stop.
    std::fs::rename(&state, state.with_file_name("complete-state.md")).unwrap();
    let held = walk.stop();
    assert_eq!(held["decision"], "block", "{held}");
    let fault = walk.end_round().await.unwrap_err();
    assert!(fault.message.contains("rlcr_not_started"), "{fault:?}");
    let reason = walk.stop()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("\"action\": \"start_loop\""), "{reason}");

    // Its folders are named by the second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (state, argv) = walk.started(&strict).await;
    assert!(argv.contains(&"--strict-success".to_owned()), "{argv:?}");
    let text = std::fs::read_to_string(&state).unwrap();
    assert!(text.contains("strict_success: true"), "{text}");
    let edited = text.replace("strict_success: true", "strict_success: false");
    std::fs::write(&state, edited).unwrap();
    let fault = walk.end_round().await.unwrap_err();
    assert!(fault.message.contains("strict_success: true"), "{fault:?}");
    std::fs::write(&state, text).unwrap();
    let ended = walk.end_round().await.unwrap();
    assert_eq!(
        ended["recorded"]["summary"], "looked at the norm",
        "{ended}"
    );
}
