//! The MCP server on real pipes, with a client that nobody here wrote.

use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceExt};
use serde_json::{Value, json};

use crate::support::{BINARY, Home, is_alive, wait_for};

#[derive(Clone, Default)]
struct Client {
    notes: Arc<Mutex<Vec<(f64, String)>>>,
}

impl ClientHandler for Client {
    async fn on_progress(
        &self,
        note: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let message = note.message.unwrap_or_default();
        self.notes.lock().unwrap().push((note.progress, message));
    }
}

fn server(home: &Home) -> TokioChildProcess {
    let mut command = tokio::process::Command::new(BINARY);
    command
        .arg("serve")
        .envs(home.env())
        .current_dir(home.workspace());
    TokioChildProcess::new(command).unwrap()
}

async fn connect(home: &Home, client: Client) -> RunningService<RoleClient, Client> {
    client.serve(server(home)).await.unwrap()
}

async fn discover(home: &Home) -> RunningService<RoleClient, Client> {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    Client::default()
        .serve_with_lifecycle(server(home), lifecycle)
        .await
        .unwrap()
}

fn request(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let arguments = arguments.as_object().unwrap().clone();
    CallToolRequestParams::new(tool).with_arguments(arguments)
}

fn structured(result: CallToolResult) -> Value {
    result.structured_content.unwrap()
}

/// A plan whose engine starts and is never ready.
fn never_ready(home: &Home) -> Value {
    json!({
        "model": {"name": "m"},
        "dataset": {"num_prompts": 1, "scenario_names": ["chat"], "input_len": [4]},
        "search": {"repeats": 1, "output_dir": "out"},
        "timeouts": {"ready_s": 300, "stop_s": 2},
        "frameworks": {"mine": {
            "engine": "openai",
            "command": ["sh", "-c", "sleep 1000; true", home.mark(), "{port}"],
        }},
    })
}

#[tokio::test]
async fn both_lifecycles_list_the_same_tools_with_portable_schemas() {
    let home = Home::new();
    let legacy = connect(&home, Client::default()).await;
    let modern = discover(&home).await;
    let tools = legacy.list_all_tools().await.unwrap();
    assert_eq!(tools, modern.list_all_tools().await.unwrap());
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    for wanted in ["campaign", "run_benchmark", "check_gap", "update_ledger"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    for tool in &tools {
        assert!(tool.output_schema.is_some(), "{}", tool.name);
        let description = tool.description.as_deref().unwrap();
        assert!(description.contains("Example: {"), "{}", tool.name);
        let text = serde_json::to_string(tool).unwrap();
        assert!(!text.contains("$schema"), "{}", tool.name);
        assert!(!text.contains("\"format\":\""), "{}", tool.name);
        let hints = tool.annotations.as_ref().unwrap();
        assert_eq!(hints.destructive_hint, Some(false), "{}", tool.name);
    }
    let info = legacy.peer_info().unwrap();
    assert!(info.instructions.as_ref().unwrap().len() < 1500);
    legacy.cancel().await.unwrap();
    modern.cancel().await.unwrap();
}

#[tokio::test]
async fn errors_are_structured_and_say_what_to_do() {
    let home = Home::new();
    for client in [
        connect(&home, Client::default()).await,
        discover(&home).await,
    ] {
        let wrong = request("run_benchmark", json!({"plann": "/x"}));
        let result = client.call_tool(wrong).await.unwrap();
        assert_eq!(result.is_error, Some(true));
        let error = structured(result);
        assert_eq!(error["error"], "invalid_argument");
        assert!(error["message"].as_str().unwrap().contains("`plann`"));
        assert!(error["hint"].as_str().unwrap().contains("`plan`"));
        let none = request("campaign", json!({"action": "status"}));
        let error = structured(client.call_tool(none).await.unwrap());
        assert_eq!(error["error"], "campaign_unknown");
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn progress_grows_and_a_cancelled_call_leaves_the_job_alone() {
    let home = Home::new();
    let watcher = Client::default();
    let client = connect(&home, watcher.clone()).await;
    let asked = request(
        "run_benchmark",
        json!({"plan": never_ready(&home), "wait_s": 60}),
    );
    let call = client
        .send_cancellable_request(
            rmcp::model::ClientRequest::CallToolRequest(rmcp::model::Request::new(asked)),
            PeerRequestOptions::no_options(),
        )
        .await
        .unwrap();
    let notes = Arc::clone(&watcher.notes);
    tokio::task::spawn_blocking(move || {
        wait_for("three notes", || notes.lock().unwrap().len() >= 3);
    })
    .await
    .unwrap();
    call.cancel(Some("enough".to_owned())).await.unwrap();
    let notes = watcher.notes.lock().unwrap().clone();
    assert!(
        notes.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|(_, message)| message.contains("mine base")),
        "{notes:?}"
    );

    let job = only_job(&home);
    let follow = request("run_benchmark", json!({"job_id": job, "wait_s": 0}));
    let record = structured(client.call_tool(follow).await.unwrap());
    assert_eq!(record["state"], "running");
    assert!(!home.engines().is_empty());
    let cancel = request(
        "run_benchmark",
        json!({"job_id": job, "cancel": true, "wait_s": 30}),
    );
    let record = structured(client.call_tool(cancel).await.unwrap());
    assert_eq!(record["state"], "cancelled");
    home.wait_until_no_engine();
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn a_job_outlives_the_server_that_was_killed() {
    let home = Home::new();
    let process = server(&home);
    let pid = process.id().unwrap();
    let client = Client::default().serve(process).await.unwrap();
    let start = request(
        "run_benchmark",
        json!({"plan": never_ready(&home), "wait_s": 0}),
    );
    let record = structured(client.call_tool(start).await.unwrap());
    let job = record["job_id"].as_str().unwrap().to_owned();
    assert_eq!(record["cost"]["launches"], 1);
    kill(pid);
    wait_for("the server to be gone", || !is_alive(pid));
    drop(client);

    let again = connect(&home, Client::default()).await;
    wait_for("the engine", || !home.engines().is_empty());
    let same = request(
        "run_benchmark",
        json!({"plan": never_ready(&home), "wait_s": 0}),
    );
    let record = structured(again.call_tool(same).await.unwrap());
    assert_eq!(record["job_id"], job.as_str());
    assert_eq!(record["state"], "running");
    let cancel = request(
        "run_benchmark",
        json!({"job_id": job, "cancel": true, "wait_s": 30}),
    );
    assert_eq!(
        structured(again.call_tool(cancel).await.unwrap())["state"],
        "cancelled"
    );
    home.wait_until_no_engine();
    again.cancel().await.unwrap();
}

fn kill(pid: u32) {
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
}

fn only_job(home: &Home) -> String {
    let mut jobs = std::fs::read_dir(home.workspace().join("out/jobs")).unwrap();
    let job = jobs.next().unwrap().unwrap();
    assert!(jobs.next().is_none());
    job.file_name().into_string().unwrap()
}

#[tokio::test]
async fn a_capture_returns_its_tables_and_is_found_by_its_job() {
    let home = Home::new();
    let command = crate::plans::sim(&home, "sglang", &["--layers", "4"]);
    let plan = crate::plans::plan(json!({"sglang": {"command": command}}));
    let client = connect(&home, Client::default()).await;
    let measured = request("run_benchmark", json!({"plan": plan, "wait_s": 60}));
    let measured = structured(client.call_tool(measured).await.unwrap());
    assert_eq!(measured["state"], "done", "{measured:#}");
    let asked = request(
        "profile",
        json!({"capture": {"framework": "sglang", "stage": "decode"}, "wait_s": 60}),
    );
    let record = structured(client.call_tool(asked).await.unwrap());
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(record["stages"][0]["stage"], "decode");
    let job = request("profile", json!({"job_id": record["job_id"], "wait_s": 0}));
    let again = structured(client.call_tool(job).await.unwrap());
    assert_eq!(again, record);
    client.cancel().await.unwrap();
}
