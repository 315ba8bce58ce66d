//! What can go wrong with a profiler capture, on simulated engines.

use std::path::Path;

use serde_json::{Value, json};

use crate::capture::{capture, measured, message};
use crate::running::Running;
use crate::support::{Home, read, wait_for};

/// The failure of a capture that must fail.
fn failure(home: &Home, request: Value) -> Value {
    let record = capture(home, request);
    assert_eq!(record["state"], "failed", "{record:#}");
    record["failure"].clone()
}

#[test]
fn a_server_without_profiler_routes_is_named_with_what_it_needs() {
    let home = Home::new();
    let server = Running::start(&home, "vllm", &[]);
    let failure = failure(
        &home,
        json!({"framework": "vllm", "server": server.url, "scenario": "chat", "trace_dir": home.workspace()}),
    );
    assert_eq!(failure["error"], "profiler_unavailable");
    assert!(message(&failure).contains("/start_profile answered 404"));
    assert!(
        failure["hint"]
            .as_str()
            .unwrap()
            .contains("profiler_config")
    );
    let unknown = home
        .call(
            "profile",
            &json!({"capture": {"framework": "openai", "server": server.url}}),
        )
        .unwrap_err();
    assert_eq!(unknown["error"], "profiler_unavailable");
}

#[test]
fn a_profiler_that_does_not_start_ends_the_capture() {
    let home = Home::new();
    measured(&home, "sglang", &["--fault", "profiler-refuses"]);
    let failure = failure(&home, json!({"framework": "sglang"}));
    home.wait_until_no_engine();
    assert_eq!(failure["error"], "profiler_unavailable");
    assert!(message(&failure).contains("answered 500"), "{failure:#}");
}

#[test]
fn a_trace_that_never_comes_and_one_that_is_cut_time_out_with_what_was_seen() {
    for (dialect, fault, seen) in [
        ("sglang", "no-trace", "no file came"),
        ("vllm", "cut-trace", "rank0."),
        ("sglang", "cut-trace", "TP-0.trace.json.gz"),
    ] {
        let home = Home::new();
        measured(&home, dialect, &["--fault", fault]);
        let failure = failure(
            &home,
            json!({"framework": dialect, "stage": "decode", "trace_timeout_s": 5}),
        );
        home.wait_until_no_engine();
        assert_eq!(failure["error"], "trace_incomplete");
        assert!(message(&failure).contains("within 5 s"), "{failure:#}");
        assert!(message(&failure).contains(seen), "{failure:#}");
        assert_eq!(message(&failure).contains(" bytes, "), fault == "cut-trace");
    }
}

#[test]
fn a_server_that_dies_while_it_is_profiled_is_told_with_its_last_words() {
    for dialect in ["sglang", "vllm"] {
        let home = Home::new();
        measured(&home, dialect, &["--fault", "crash-in-profile"]);
        let failure = failure(&home, json!({"framework": dialect}));
        home.wait_until_no_engine();
        assert_eq!(failure["error"], "engine_died", "{failure:#}");
        assert!(
            message(&failure).contains("while it was profiled"),
            "{failure:#}"
        );
    }
}

#[test]
fn a_disk_that_is_too_small_is_refused_before_anything_is_launched() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let folder = home.workspace().join("out/profiles");
    std::fs::create_dir(&folder).unwrap();
    let Some(_mounted) = crate::faults::SmallDisk::mount(&folder) else {
        eprintln!("not run: mounting a small file system needs root");
        return;
    };
    let error = home
        .call("profile", &json!({"capture": {"framework": "sglang"}}))
        .unwrap_err();
    assert_eq!(error["error"], "disk_too_small");
    assert!(message(&error).contains("may need 224 MiB"), "{error:#}");
}

#[test]
fn a_cancelled_capture_leaves_no_engine_and_no_recording() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let slow =
        json!({"framework": "sglang", "stage": "decode", "warmup_steps": 1000, "output_len": 4096});
    let started = home
        .call("profile", &json!({"capture": slow, "wait_s": 0}))
        .unwrap();
    wait_for("the engine", || !home.engines().is_empty());
    let ended = home
        .call(
            "profile",
            &json!({"job_id": started["job_id"], "cancel": true, "wait_s": 60}),
        )
        .unwrap();
    assert_eq!(ended["state"], "cancelled", "{ended:#}");
    home.wait_until_no_engine();
}

#[test]
fn a_killed_supervisor_takes_the_profiled_engine_along() {
    let home = Home::new();
    measured(&home, "vllm", &[]);
    let slow =
        json!({"framework": "vllm", "stage": "decode", "warmup_steps": 1000, "output_len": 4096});
    let started = home
        .call("profile", &json!({"capture": slow, "wait_s": 0}))
        .unwrap();
    wait_for("the engine", || !home.engines().is_empty());
    kill_supervisor(
        &home
            .workspace()
            .join("out/jobs")
            .join(started["job_id"].as_str().unwrap()),
    );
    home.wait_until_no_engine();
    let lost = home
        .call(
            "profile",
            &json!({"job_id": started["job_id"], "wait_s": 0}),
        )
        .unwrap();
    assert_eq!(lost["state"], "lost", "{lost:#}");
    let done = capture(
        &home,
        json!({"framework": "vllm", "stage": "decode", "output_len": 300}),
    );
    assert_eq!(done["state"], "done", "{done:#}");
}

fn kill_supervisor(dir: &Path) {
    let status: Value = serde_json::from_str(&read(dir.join("status.json"))).unwrap();
    let pid = i32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
}
