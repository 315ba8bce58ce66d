//! The guard: whatever an engine starts, nothing of it stays.

use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::{Home, processes, read, wait_for};

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

/// What the guard prints, with its control pipe held open until it ends, so
/// that only the engine's own end counts.
fn report(mut guard: Child) -> Value {
    let control = guard.stdin.take();
    let output = guard.wait_with_output().unwrap();
    drop(control);
    serde_json::from_slice(&output.stdout).unwrap()
}
