//! Captures and checks where the plan's executor says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::docker::Docker;
use crate::home::{Laptop, SSH_NEEDS, have, with_executor};
use crate::plans::{plan, sim};
use crate::sshd::Sshd;
use crate::support::{is_alive, processes, read, wait_for};

/// Measures one framework, so that it has a winner.
pub fn measured(laptop: &Laptop, dialect: &str, executor: &Value) {
    let command = sim(&laptop.home, dialect, &["--layers", "6"]);
    let plan = with_executor(plan(json!({dialect: {"command": command}})), executor);
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
}

/// `profile` as the command line calls it: the record, or the error.
pub fn profile(laptop: &Laptop, arguments: &Value) -> Value {
    let output = laptop
        .command(&["call", "profile", &arguments.to_string()])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every trace lies below the laptop's folder of profiles; gives their places.
pub fn places(laptop: &Laptop, record: &Value, framework: &str) -> Vec<String> {
    let folder = laptop.home.workspace().join("out/profiles").join(framework);
    let traces = record["traces"].as_array().unwrap();
    let place = |trace: &Value| {
        let path = Path::new(trace["path"].as_str().unwrap());
        assert!(path.is_file(), "{trace:#}");
        let below = path.strip_prefix(&folder).unwrap();
        below.parent().unwrap().display().to_string()
    };
    traces.iter().map(place).collect()
}

#[test]
fn a_capture_is_made_there_and_analysed_here() {
    if !have(&SSH_NEEDS) {
        return;
    }
    let mut laptop = Laptop::new();
    let _sshd = Sshd::start(&mut laptop);
    measured(&laptop, "sglang", &json!({"kind": "ssh", "host": "here"}));
    let request = json!({"capture": {"framework": "sglang", "graphs": "both"}, "wait_s": 0});
    let id = profile(&laptop, &request)["job_id"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for("an engine", || !laptop.home.engines().is_empty());
    let pid = laptop.status(&id)["pid"].as_u64().unwrap() as u32;
    // Its own supervisor may die meanwhile.
    laptop.close(&id);
    assert!(!is_alive(pid));
    let record = profile(&laptop, &json!({"job_id": id, "wait_s": 120}));
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(
        places(&laptop, &record, "sglang"),
        [
            "graphs-on/prefill",
            "graphs-on/decode",
            "graphs-off/prefill",
            "graphs-off/decode"
        ]
    );
    let folder = laptop.home.workspace().join("out/profiles/sglang");
    assert_eq!(
        record["report_path"],
        json!(folder.join("report.md").to_str().unwrap())
    );
    assert!(folder.join("graphs-on/decode/server_args.json").is_file());
    let decode = record["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stage| stage["stage"] == "decode")
        .unwrap();
    let top = &decode["kernels"][0]["locations"][0];
    assert_eq!(top["method"], "replay_order_mapping", "{top:#}");
    assert_eq!(laptop.guest_jobs(), 0);
    assert!(processes(&laptop.home.mark()).is_empty());
}

#[test]
fn a_cancelled_capture_leaves_no_process_there() {
    if !have(&SSH_NEEDS) {
        return;
    }
    let mut laptop = Laptop::new();
    let _sshd = Sshd::start(&mut laptop);
    measured(&laptop, "sglang", &json!({"kind": "ssh", "host": "here"}));
    let request =
        json!({"capture": {"framework": "sglang", "steps": 50, "warmup_steps": 1000}, "wait_s": 0});
    let id = profile(&laptop, &request)["job_id"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for("an engine", || !laptop.home.engines().is_empty());
    let record = profile(
        &laptop,
        &json!({"job_id": id, "cancel": true, "wait_s": 60}),
    );
    assert_eq!(record["state"], "cancelled", "{record:#}");
    assert!(processes(&laptop.home.mark()).is_empty());
}

#[test]
fn a_container_of_an_image_writes_its_traces_to_the_job() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    measured(
        &laptop,
        "vllm",
        &json!({"kind": "docker", "image": "lab/vllm:1"}),
    );
    let request = json!({"capture": {"framework": "vllm"}, "wait_s": 120});
    let record = profile(&laptop, &request);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(
        places(&laptop, &record, "vllm"),
        ["graphs-on/prefill", "graphs-on/decode"]
    );
    assert_eq!(docker.containers(), 0);
    laptop.home.wait_until_no_engine();
}

#[test]
fn a_running_container_is_told_where_its_traces_go_inside() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    // Both names are the same folder, as with a bind mount.
    let inside = laptop.host.join("inside");
    std::os::unix::fs::symlink(laptop.home.workspace(), &inside).unwrap();
    docker.describe(
        true,
        "host",
        json!([{"Source": laptop.home.workspace(), "Destination": inside, "RW": true}]),
    );
    measured(
        &laptop,
        "vllm",
        &json!({"kind": "docker", "container": "dev"}),
    );
    let request = json!({"capture": {"framework": "vllm", "stage": "decode"}, "wait_s": 120});
    let record = profile(&laptop, &request);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(places(&laptop, &record, "vllm"), ["graphs-on/decode"]);
    let calls = docker.calls();
    let told = calls
        .iter()
        .find(|call| call.contains("torch_profiler_dir"));
    let lead = format!("{}/out/jobs/capture-", inside.display());
    assert!(told.unwrap().contains(&lead), "{told:?}");
    // Without the mount nothing would come out.
    docker.describe(true, "host", json!([]));
    let again =
        json!({"capture": {"framework": "vllm", "stage": "decode", "again": true}, "wait_s": 120});
    let record = profile(&laptop, &again);
    assert_eq!(record["state"], "failed", "{record:#}");
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("no mount of the container has"),
        "{message}"
    );
}

/// A repository of one commit; gives its commit and tree.
pub fn checkout(dir: &Path, content: &str) -> (String, String) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("kernel.py"), content).unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "one"]);
    (
        git(&["rev-parse", "HEAD"]),
        git(&["rev-parse", "HEAD^{tree}"]),
    )
}

/// Runs a checks job to its end; gives its folder and status.
fn checks(laptop: &Laptop, id: &str, payload: &Value) -> (PathBuf, Value) {
    let dir = laptop.job_dir(id);
    std::fs::create_dir_all(&dir).unwrap();
    let spec = json!({"id": id, "key": id, "kind": "checks", "created": "2026-01-01T00:00:00Z", "payload": payload});
    std::fs::write(dir.join("spec.json"), spec.to_string()).unwrap();
    laptop
        .command(&["supervise", dir.to_str().unwrap()])
        .output()
        .unwrap();
    let status = laptop.status(id);
    (dir, status)
}

#[test]
fn checks_run_where_the_server_runs() {
    if !have(&SSH_NEEDS) {
        return;
    }
    let mut laptop = Laptop::new();
    let _sshd = Sshd::start(&mut laptop);
    // The checkout of this computer, and that of the host at another path.
    let (commit, tree) = checkout(&laptop.home.workspace().join("sglang"), "one");
    let there = laptop.host.join("src/sglang");
    assert_eq!(checkout(&there, "one").1, tree);
    let frameworks = json!({"sglang": {
        "command": sim(&laptop.home, "sglang", &[]),
        "source": {"checkout": there, "verify": false},
    }});
    let executor = json!({"kind": "ssh", "host": "here"});
    let mut payload = json!({
        "campaign": laptop.home.workspace().join("out"),
        "attempt": null,
        "checkout": laptop.home.workspace().join("sglang"),
        "commit": commit,
        "tree": tree,
        "tests": [],
        "reference": null,
        "min_matched_share": 0.9,
        "plan": with_executor(plan(frameworks), &executor),
        "candidate": {"framework": "sglang", "id": "base", "flags": {}},
    });
    let (base, status) = checks(&laptop, "checks-base", &payload);
    assert_eq!(status["state"], "done", "{status:#}");
    let result: Value = serde_json::from_str(&read(base.join("result.json"))).unwrap();
    let outputs = result["outputs"].as_str().unwrap();
    assert!(outputs.starts_with(base.to_str().unwrap()), "{outputs}");

    payload["attempt"] = json!("a1");
    payload["reference"] = json!(outputs);
    payload["tests"] = json!([["sh", "-c", "pwd; cat kernel.py"], ["sh", "-c", "exit 3"]]);
    let (attempt, status) = checks(&laptop, "checks-attempt", &payload);
    assert_eq!(status["state"], "done", "{status:#}");
    let result: Value = serde_json::from_str(&read(attempt.join("result.json"))).unwrap();
    assert_eq!(result["agreement"]["matched_share"], 1.0, "{result:#}");
    assert_eq!(result["tests"][0]["passed"], true);
    assert_eq!(result["tests"][1]["exit"], 3);
    let log = read(result["tests"][0]["log"].as_str().unwrap());
    assert_eq!(log, format!("{}\none", there.display()));

    std::fs::write(there.join("kernel.py"), "two").unwrap();
    let (_, status) = checks(&laptop, "checks-moved", &payload);
    assert_eq!(status["state"], "failed");
    let message = status["fault"]["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!(
            "here: the checkout moved from tree {tree} to {tree}-"
        )),
        "{message}"
    );
    assert!(processes(&laptop.home.mark()).is_empty());
}

#[test]
fn checks_run_in_the_container_of_the_server() {
    let laptop = Laptop::new();
    let docker = Docker::stand_in(&laptop);
    let source = laptop.home.workspace().join("sglang");
    let (commit, tree) = checkout(&source, "one");
    let frameworks = json!({"sglang": {
        "command": sim(&laptop.home, "sglang", &[]),
        "source": {"checkout": source, "verify": false},
    }});
    let executor = json!({"kind": "docker", "image": "lab/sglang:1"});
    let payload = json!({
        "campaign": laptop.home.workspace().join("out"),
        "attempt": "a1",
        "checkout": source,
        "commit": commit,
        "tree": tree,
        "tests": [["sh", "-c", "echo in=$SOTA_TEST_IN_CONTAINER"]],
        "reference": null,
        "min_matched_share": 0.9,
        "plan": with_executor(plan(frameworks), &executor),
        "candidate": {"framework": "sglang", "id": "base", "flags": {}},
    });
    let (dir, status) = checks(&laptop, "checks-docker", &payload);
    assert_eq!(status["state"], "done", "{status:#}");
    assert_eq!(read(dir.join("test-1.log")), "in=1\n");
    assert_eq!(docker.containers(), 0);
    laptop.home.wait_until_no_engine();
}
