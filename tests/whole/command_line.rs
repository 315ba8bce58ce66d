//! What holds for every command: help with examples, exit codes, colours,
//! errors with a hint, completions.

use std::process::Output;

use serde_json::{Value, json};

use crate::plans;
use crate::support::Home;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names of the commands as `--help` lists them.
fn commands(home: &Home) -> Vec<String> {
    let help = out(&home.run(&["--help"]));
    let listed = help.split("Commands:\n").nth(1).unwrap();
    listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_has_help_with_examples_and_takes_json() {
    let home = Home::new();
    let commands = commands(&home);
    for known in ["bench", "watch", "report", "gap", "triage", "completions"] {
        assert!(commands.iter().any(|name| name == known), "{commands:?}");
    }
    for name in commands {
        let output = home.run(&[&name, "--help"]);
        let help = out(&output);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(help.contains("Example"), "{name}: {help}");
        assert!(help.contains("--json"), "{name}: {help}");
        assert!(!help.contains('\u{1b}'), "{name}: colours in a pipe");
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{name}: {widest:?} columns");
    }
}

#[test]
fn exit_codes_are_those_of_the_documentation() {
    let home = Home::new();
    let bad_plan = home.write("plan.yaml", "model: {name: x}\n");
    let bad_plan = bad_plan.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["completions", "bash"], 0, ""),
        (&["gap"], 2, "required arguments"),
        (&["pipeline", "x", "--compare-layers", "1"], 2, "hint:"),
        (&["no-such-command"], 2, "unrecognized subcommand"),
        (&["gap", "missing.jsonl"], 1, "hint:"),
        (&["bench", bad_plan], 1, "hint:"),
        (&["report", "nothing-here"], 1, "hint:"),
    ];
    for (arguments, code, words) in cases {
        let output = home.run(arguments);
        let text = err(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert!(!text.contains('\u{1b}'), "{arguments:?}: colours in a pipe");
    }
}

#[test]
fn a_failure_is_json_where_json_is_asked_for() {
    let home = Home::new();
    for arguments in [
        &["--json", "watch", "no-such-job"][..],
        &["--json", "report", "nothing-here"],
        &["--json", "gap", "missing.jsonl"],
    ] {
        let output = home.run(arguments);
        let fault: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(fault["error"].is_string() && !fault["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn shells_get_completions_of_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = out(&home.run(&["completions", shell]));
        for word in ["bench", "watch", "report", "--estimate"] {
            let word = word.trim_start_matches("--");
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn a_cancelled_job_is_followed_to_exit_code_130() {
    let home = Home::new();
    let slow = plans::sim(&home, "sglang", &["--time-scale", "0.02"]);
    let plan = plans::plan(json!({"sglang": {"command": slow}}));
    let path = home.write("plan.yaml", &plan.to_string());
    let mut followed = home
        .command(&["bench", path.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut id = String::new();
    crate::support::wait_for("a job", || {
        let jobs = std::fs::read_dir(home.workspace().join("out/jobs"));
        id = jobs
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .next()
            .unwrap_or_default();
        !id.is_empty() && home.run(&["watch", &id]).status.success()
    });
    let cancelled = home.run(&["bench", "--job", &id, "--cancel"]);
    assert_eq!(cancelled.status.code(), Some(0), "{}", err(&cancelled));
    assert_eq!(followed.wait().unwrap().code(), Some(130));
    home.wait_until_no_engine();
}
