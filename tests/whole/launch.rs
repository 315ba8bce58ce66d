//! The guard: whatever an engine starts, nothing of it stays.

use std::process::{Child, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::plans::{plan, rows, sim};
use crate::support::{Home, is_alive, processes, read, wait_for};

fn spec(home: &Home, script: &str) -> String {
    json!({
        "argv": ["sh", "-c", script, home.mark()],
        "cwd": null,
        "log": home.workspace().join("engine.log"),
        "stop": {"secs": 1, "nanos": 0},
    })
    .to_string()
}

/// Engines of the home, its guard left out.
fn left(home: &Home) -> usize {
    let guards = processes("\"argv\"");
    let engines = home.engines();
    engines.iter().filter(|pid| !guards.contains(pid)).count()
}

#[test]
fn a_child_that_left_the_group_is_ended_too() {
    let home = Home::new();
    let script = format!(
        "setsid sh -c 'sleep 1000; true' {0} & sh -c 'setsid sh -c \"sleep 1000; true\" {0} &' ; echo up; exit 4",
        home.mark()
    );
    let guard = home
        .command(&["guard", &spec(&home, &script)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = report(guard);
    assert_eq!(ended["code"], 4);
    assert_eq!(ended["stopped"], false);
    assert_eq!(read(home.workspace().join("engine.log")), "up\n");
    assert!(home.engines().is_empty());
}

#[test]
fn a_guard_whose_owner_is_gone_ends_the_engine() {
    let home = Home::new();
    let script = "trap '' TERM; echo up; while :; do sleep 1; done";
    let mut guard = home
        .command(&["guard", &spec(&home, script)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = home.workspace().join("engine.log");
    wait_for("the engine", || log.exists() && read(&log).contains("up"));
    assert_eq!(left(&home), 1);
    drop(guard.stdin.take());
    let output = guard.wait_with_output().unwrap();
    let ended: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(ended["stopped"], true);
    assert_eq!(ended["killed"], true);
    assert_eq!(left(&home), 0);
}

#[test]
fn a_killed_guard_takes_its_engine_along() {
    let home = Home::new();
    let mut guard = home
        .command(&["guard", &spec(&home, "echo up; sleep 20; true")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = home.workspace().join("engine.log");
    wait_for("the engine", || log.exists() && read(&log).contains("up"));
    guard.kill().unwrap();
    guard.wait().unwrap();
    home.wait_until_no_engine();
}

/// A plan of some seconds whose server has a worker that left its group.
fn with_worker(home: &Home) -> Value {
    let script = format!(
        "setsid sh -c 'sleep 1000; true' {0} & exec \"$@\"",
        home.mark()
    );
    let mut command = vec![json!("sh"), json!("-c"), json!(script), json!("sh")];
    command.extend(sim(home, "vllm", &[]).as_array().unwrap().clone());
    let mut plan = plan(json!({"vllm": {"command": command, "check_flags": false}}));
    plan["dataset"]["output_len"] = json!([4000]);
    plan
}

/// Starts the plan; gives the job, and the pids of guard and worker.
fn start(home: &Home, plan: &Value) -> (Value, u32, u32) {
    let job = home
        .call("run_benchmark", &json!({"plan": plan, "wait_s": 0}))
        .unwrap();
    let of_server = |words: &[&str]| {
        let mut found = home.engines();
        for word in words {
            let with = processes(word);
            found.retain(|pid| with.contains(pid));
        }
        found
    };
    wait_for("the server's worker", || {
        !of_server(&["sleep 1000; true\0"]).is_empty() && !of_server(&["\"argv\""]).is_empty()
    });
    let guard = of_server(&["\"argv\""])[0];
    let worker = of_server(&["sleep 1000; true\0"])[0];
    (job, guard, worker)
}

fn send(pid: u32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

#[test]
fn what_a_killed_guard_leaves_is_ended_by_the_supervisor() {
    let home = Home::new();
    let (job, guard, worker) = start(&home, &with_worker(&home));
    send(guard, Signal::SIGKILL);
    wait_for("the worker to be gone", || !is_alive(worker));
    let arguments = json!({"job_id": job["job_id"], "wait_s": 60});
    let record = home.call("run_benchmark", &arguments).unwrap();
    assert_eq!(record["state"], "done", "{record:#}");
    assert!(home.engines().is_empty());
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "failed", "{row:#}");
}

#[test]
fn what_guard_and_supervisor_leave_together_is_ended_by_the_next_supervisor() {
    let home = Home::new();
    let plan = with_worker(&home);
    let (job, guard, worker) = start(&home, &plan);
    let id = job["job_id"].as_str().unwrap();
    let status = read(
        home.workspace()
            .join("out/jobs")
            .join(id)
            .join("status.json"),
    );
    let status: Value = serde_json::from_str(&status).unwrap();
    send(guard, Signal::SIGSTOP);
    send(status["pid"].as_u64().unwrap() as u32, Signal::SIGKILL);
    send(guard, Signal::SIGKILL);
    wait_for("the guard to be gone", || !is_alive(guard));
    assert!(is_alive(worker));
    let record = home
        .call("run_benchmark", &json!({"plan": plan, "wait_s": 60}))
        .unwrap();
    assert_eq!(record["job_id"], job["job_id"]);
    assert_eq!(record["state"], "done", "{record:#}");
    assert!(!is_alive(worker));
    assert!(home.engines().is_empty());
}

/// What the guard prints, with its control pipe held open until it ends, so
/// that only the engine's own end counts.
fn report(mut guard: Child) -> Value {
    let control = guard.stdin.take();
    let output = guard.wait_with_output().unwrap();
    drop(control);
    serde_json::from_slice(&output.stdout).unwrap()
}
