//! Whole campaigns over MCP, with a client that nobody here wrote.

use std::path::Path;

use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::Value;
use sota_loop::demo::{Agent, Play, Stage, Told};
use sota_loop::fault::Fault;

use crate::support::{BINARY, Home};

/// An agent on the far side of a server's pipes.
pub struct Client {
    service: RunningService<RoleClient, ()>,
}

impl Client {
    /// A client whose host has `project` open; `programs` go before the others
    /// on PATH.
    pub async fn connect(
        home: &Home,
        stage: &Stage,
        project: &Path,
        programs: Option<&Path>,
    ) -> Self {
        let mut command = tokio::process::Command::new(BINARY);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = programs.map(Path::to_path_buf).into_iter();
        let path = std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap();
        command
            .arg("serve")
            .envs(home.env())
            .env("CLAUDE_PROJECT_DIR", project)
            .env("PATH", path)
            .env_remove("HUMANIZE_RUNTIME_ROOT")
            .env_remove("SOTA_HISTORY_ROOT")
            .current_dir(&stage.workspace);
        let service = ().serve(TokioChildProcess::new(command).unwrap()).await.unwrap();
        Self { service }
    }
}

impl Agent for Client {
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.service.call_tool(request).await.unwrap();
        let record = result.structured_content.unwrap();
        if result.is_error == Some(true) {
            return Err(serde_json::from_value(record).unwrap());
        }
        Ok(record)
    }
}

impl Agent for &Client {
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        Client::call(self, tool, arguments).await
    }
}

/// A stage whose engines are those of the program under test.
pub fn stage(home: &Home) -> Stage {
    // SAFETY: set to one value by every test of this program, and read later.
    unsafe { std::env::set_var("SOTA_LOOP_BINARY", BINARY) };
    Stage::set_up(&home.path("stage")).unwrap()
}

/// Of these records, about three to four bytes make a token: 2,000 in all.
const MOST_BYTES: usize = 7_500;

pub fn tell(told: Told) {
    if let Told::Answered { tool, record } = &told {
        let bytes = record.to_string().len();
        eprintln!("{tool}: {bytes} bytes");
        assert!(bytes <= MOST_BYTES, "{tool}: {bytes} bytes: {record}");
    }
    if !matches!(told, Told::Progress(_)) {
        let text = format!("{told:?}");
        eprintln!("{}", text.chars().take(600).collect::<String>());
    }
}

fn gates(refusals: &[Fault]) -> Vec<String> {
    refusals
        .iter()
        .map(|fault| match &fault.refusal {
            Some(refusal) => refusal.gate.clone(),
            None => serde_json::to_value(fault.error)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_six_percent_behind_to_tied() {
    let home = Home::new();
    let stage = stage(&home);
    let client = Client::connect(&home, &stage, &stage.workspace, None).await;
    let mut play = Play::new(client, &stage, tell);
    let record = play
        .to_tied()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let refused = gates(&play.refusals);
    for gate in [
        "history",
        "baseline",
        "started",
        "preflight",
        "seal",
        "evidence",
        "strict_success",
        "kernel",
        "unclaimed_change",
        "optimization",
        "needs_input",
        "invalid_argument",
    ] {
        assert!(
            refused.iter().any(|name| name == gate),
            "{gate}: {refused:?}"
        );
    }
    assert!(refused.len() >= 12, "{refused:?}");
    assert_eq!(record["phase"], "finished");
    let root = std::path::PathBuf::from(record["root"].as_str().unwrap());
    let report = std::fs::read_to_string(root.join("final_report.md")).unwrap();
    assert!(report.contains("tied"), "{report}");
    assert!(report.contains("decode_step.py"), "{report}");
    check_captures(&root);
    let rlcr = stage.checkout.join(".humanize/rlcr");
    let folder = std::fs::read_dir(&rlcr)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("complete-state.md").is_file())
        .expect("the loop's folder says that it is complete");
    for name in [
        "round-0-prompt.md",
        "round-0-summary.md",
        "round-0-review.md",
        "round-1-prompt.md",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(review(&stage).contains("# Review of round 0: passed"));
    assert_eq!(stage.git(&["status", "--porcelain"]).unwrap(), "");
}

/// Every capture after the seal is of the sealed command, has its start and its
/// end in the log, a digest of its round, and a folder of its tree.
fn check_captures(root: &std::path::Path) {
    let log = std::fs::read_to_string(root.join("humanize/lineage.jsonl")).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &'static str| events.iter().filter(move |event| event["kind"] == kind);
    let sealed = of("sealed").next().unwrap()["seq"].as_u64().unwrap();
    let started: Vec<&Value> = of("capture_started").collect();
    assert_eq!(started.len(), 2, "{started:#?}");
    for start in &started {
        let body = &start["body"];
        assert!(["prefill", "decode", "both"].contains(&body["stage"].as_str().unwrap()));
        let end = of("capture_ended")
            .find(|end| end["body"]["job_id"] == body["job_id"])
            .unwrap_or_else(|| panic!("no end of {start:#}"));
        if start["seq"].as_u64().unwrap() > sealed {
            assert_eq!(end["body"]["sealed_winner"], true, "{end:#}");
        }
        let digest = format!(
            "humanize/profile-digests/{}-{}.md",
            start["round"],
            body["framework"].as_str().unwrap()
        );
        assert!(root.join(&digest).is_file(), "{digest}");
        let folder = std::path::Path::new(end["body"]["folder"].as_str().unwrap());
        assert!(folder.join("report.md").is_file());
        if let Some(tree) = end["tree"].as_str() {
            assert!(folder.ends_with(&tree[..12]), "{end:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_weak_rounds_need_a_new_idea() {
    let home = Home::new();
    let stage = stage(&home);
    let client = Client::connect(&home, &stage, &stage.workspace, None).await;
    let mut play = Play::new(client, &stage, tell);
    play.to_plateau()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let refused = gates(&play.refusals);
    assert_eq!(refused, ["unclaimed_change", "plateau", "invalid_argument"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn launch_parameters_are_searched_again_without_an_attempt() {
    let home = Home::new();
    let stage = stage(&home);
    let client = Client::connect(&home, &stage, &stage.workspace, None).await;
    let mut looked = None;
    let mut play = Play::new(client, &stage, |told| {
        if let Told::Answered { tool, record } = &told
            && tool == "check_gap"
            && looked.is_none()
        {
            looked = Some(record["scenarios"][0]["where_to_look"].clone());
        }
        tell(told);
    });
    let record = play
        .to_searched_again()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gates(&play.refusals), ["evidence"]);
    drop(play);
    assert_eq!(looked, Some("configuration".into()));
    assert_eq!(record["attempts_total"], 0, "{record}");
    let root = std::path::PathBuf::from(record["root"].as_str().unwrap());
    let ledger = std::fs::read_to_string(root.join("humanize/optimization-ledger.md")).unwrap();
    assert!(!ledger.contains("| a1 |"), "{ledger}");
    let causes = std::fs::read_to_string(root.join("analysis/root-cause.md")).unwrap();
    assert!(
        causes.starts_with("# Root cause\n\n## Where the time goes\n"),
        "{causes}"
    );
    assert!(review(&stage).contains("# Review of round 0: passed"));
}

/// The built-in runtime's review of the first round.
fn review(stage: &Stage) -> String {
    let folder = std::fs::read_dir(stage.checkout.join(".humanize/rlcr"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("round-0-review.md"))
        .find(|path| path.is_file());
    std::fs::read_to_string(folder.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_outside_ends_as_external() {
    let home = Home::new();
    let stage = stage(&home);
    let client = Client::connect(&home, &stage, &stage.workspace, None).await;
    let mut play = Play::new(client, &stage, tell);
    let record = play
        .to_external()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gates(&play.refusals), ["external", "invalid_argument"]);
    let root = std::path::PathBuf::from(record["root"].as_str().unwrap());
    let report = std::fs::read_to_string(root.join("final_report.md")).unwrap();
    assert!(
        report.contains("a_kernel_library_that_is_not_there"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_was_given_up_is_reported_as_such() {
    let home = Home::new();
    let stage = stage(&home);
    let client = Client::connect(&home, &stage, &stage.workspace, None).await;
    let mut play = Play::new(client, &stage, tell);
    let record = play
        .to_abandoned()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(record["phase"], "finished");
    let root = std::path::PathBuf::from(record["root"].as_str().unwrap());
    let report = std::fs::read_to_string(root.join("final_report.md")).unwrap();
    assert!(report.contains("abandoned"), "{report}");
    assert!(
        report.contains("the machine is needed elsewhere"),
        "{report}"
    );
}
