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
    assert_eq!(stage.git(&["status", "--porcelain"]).unwrap(), "");
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
