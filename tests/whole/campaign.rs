//! A campaign from outside: what its gates refuse, and what its log keeps.

use serde_json::{Value, json};

use crate::plans::{plan, sim};
use crate::support::Home;

fn open(home: &Home) -> Value {
    home.call(
        "campaign",
        &json!({"action": "open", "model": "sim-8b", "precision": "bf16",
            "hardware": {"gpu_model": "none"}, "comparison_frameworks": ["vllm"],
            "excluded": {"tokenspeed": "not simulated"}}),
    )
    .unwrap()
}

fn blocker(home: &Home, extra: Value) -> Result<Value, Value> {
    let mut entry = json!({"kind": "blocker", "cause": "missing_dependency", "detail": "no wheel"});
    for (key, value) in extra.as_object().unwrap() {
        entry[key] = value.clone();
    }
    home.call("update_ledger", &entry)
}

fn log(root: &Value) -> std::path::PathBuf {
    std::path::Path::new(root.as_str().unwrap()).join("humanize/lineage.jsonl")
}

fn says(value: &Value, key: &str, wanted: &str) {
    let text = value[key].to_string();
    assert!(text.contains(wanted), "{key} lacks `{wanted}`: {value:#}");
}

#[test]
fn a_baseline_waits_for_the_history_and_rows_are_kept_by_label() {
    let home = Home::new();
    let opened = open(&home);
    let plan = plan(json!({
        "sglang": {"command": sim(&home, "sglang", &["--extra-step-ms", "2"])},
        "vllm": {"command": sim(&home, "vllm", &[])},
    }));
    let ask = json!({"plan": plan, "label": "baseline", "wait_s": 120});
    let refused = home.call("run_benchmark", &ask).unwrap_err();
    assert_eq!(refused["error"], "gate_refused");
    assert_eq!(refused["gate"], "history");
    says(&refused, "missing", "history notes");

    let notes = home.call(
        "query_history",
        &json!({"record": {"decisions": []}, "model": "sim-8b"}),
    );
    let notes = notes.unwrap();
    says(&notes, "findings", "no_");
    let record = home.call("run_benchmark", &ask).unwrap();
    assert_eq!(record["state"], "done", "{record:#}");

    let mut other = plan.clone();
    other["sampling"] = json!({"seed": 99});
    let ask = json!({"plan": other, "label": "baseline"});
    let refused = home.call("run_benchmark", &ask).unwrap_err();
    assert_eq!(refused["gate"], "seal");
    says(&refused, "missing", "workload_changed");

    let revalidate = json!({"label": "revalidation"});
    let refused = home.call("run_benchmark", &revalidate).unwrap_err();
    assert_eq!(refused["gate"], "seal");
    let with_plan = json!({"label": "revalidation", "plan": plan});
    let refused = home.call("run_benchmark", &with_plan).unwrap_err();
    says(&refused, "message", "takes no plan");

    let gap = home.call("check_gap", &json!({})).unwrap();
    assert_eq!(gap["decision"], "patch", "{gap:#}");
    let status = home.call("campaign", &json!({"action": "status"})).unwrap();
    let gate = |name: &str| {
        let gates = status["gates"].as_array().unwrap();
        gates
            .iter()
            .find(|gate| gate["gate"] == name)
            .unwrap()
            .clone()
    };
    for open in ["history", "baseline", "fairness"] {
        assert_eq!(gate(open)["open"], true, "{:#}", gate(open));
    }
    says(&gate("preflight"), "missing", "opened without one");
    assert_eq!(status["gap"]["label"], "baseline");
    let text = std::fs::read_to_string(log(&opened["root"])).unwrap();
    assert_eq!(text.matches("\"kind\":\"benchmark_ended\"").count(), 1);

    for other in [json!({"metric": "success_rate"}), json!({"target": "vllm"})] {
        let answer = home.call("check_gap", &other).unwrap();
        assert_eq!(answer["event"], Value::Null, "{answer:#}");
        says(&answer, "warnings", "nothing was recorded");
    }
    let status = home.call("campaign", &json!({"action": "status"})).unwrap();
    assert_eq!(status["gap"]["decision"], "patch", "{:#}", status["gap"]);
    let rows =
        std::path::Path::new(opened["root"].as_str().unwrap()).join("benchmark/candidates.jsonl");
    let measured = std::fs::read_to_string(&rows).unwrap();
    for forged in [
        forged(&measured),
        format!("{measured}{}", forged(&measured)),
    ] {
        std::fs::write(&rows, forged).unwrap();
        let refused = home.call("check_gap", &json!({})).unwrap_err();
        assert_eq!(refused["error"], "log_tampered", "{refused:#}");
        says(&refused, "message", "not those that it wrote");
    }
    std::fs::write(&rows, measured).unwrap();
    let gap = home.call("check_gap", &json!({})).unwrap();
    assert_eq!(gap["decision"], "patch");
}

/// Rows in which the target is much faster than it was.
fn forged(rows: &str) -> String {
    rows.replace("\"request_throughput\":", "\"request_throughput\":9")
}

#[test]
fn rows_that_were_edited_while_their_job_ran_count_for_nothing() {
    let home = Home::new();
    let opened = open(&home);
    let plan = plan(json!({
        "sglang": {"command": sim(&home, "sglang", &["--extra-step-ms", "2"])},
        "vllm": {"command": sim(&home, "vllm", &["--extra-step-ms", "150"])},
    }));
    let ask = json!({"plan": plan, "label": "smoke", "wait_s": 0});
    let started = home.call("run_benchmark", &ask).unwrap();
    let root = std::path::Path::new(opened["root"].as_str().unwrap());
    let job = root.join("jobs").join(started["job_id"].as_str().unwrap());
    let rows = root.join("benchmark/candidates.jsonl");
    let measured = || std::fs::read_to_string(&rows).unwrap_or_default();
    crate::support::wait_for("the first row", || measured().ends_with('\n'));
    std::fs::write(&rows, forged(&measured())).unwrap();
    crate::support::wait_for("the job to be done", || job.join("result.json").is_file());
    home.call("campaign", &json!({"action": "status"})).unwrap();
    let text = std::fs::read_to_string(log(&opened["root"])).unwrap();
    assert!(text.contains("rows_tampered: one of its"), "{text}");
    assert!(!text.contains("\"state\":\"done\""), "{text}");
}

#[test]
fn steps_of_a_round_need_the_loop() {
    let home = Home::new();
    open(&home);
    for entry in [
        json!({"kind": "round_end", "summary": "x"}),
        json!({"kind": "rejected_idea", "claim": "x", "reason": "y", "evidence": [{"event": 1, "table": "kernel", "row": "z"}]}),
        json!({"kind": "attempt", "state": "check"}),
    ] {
        let refused = home.call("update_ledger", &entry).unwrap_err();
        assert_eq!(refused["gate"], "started", "{refused:#}");
        says(&refused, "missing", "rlcr_not_started");
    }
    let wrong = home.call(
        "update_ledger",
        &json!({"kind": "round_end", "sumary": "x"}),
    );
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong["error"], "invalid_argument");
    says(&wrong, "hint", "summary");
}

#[test]
fn a_blocker_is_what_the_server_saw() {
    let home = Home::new();
    let opened = open(&home);
    let refused = blocker(&home, json!({"command": ["python3", "-c", "import sys"]})).unwrap_err();
    says(&refused, "message", "ended well");
    let refused = blocker(&home, json!({"missing_path": home.workspace()})).unwrap_err();
    says(&refused, "message", "exists");
    let refused = blocker(&home, json!({})).unwrap_err();
    says(&refused, "message", "a fact that the server can see");
    let refused = blocker(
        &home,
        json!({"command": ["false"], "missing_path": "/nowhere"}),
    );
    says(&refused.unwrap_err(), "message", "exactly one");

    for nothing in [
        json!(["false"]),
        json!(["sh", "-c", "echo ImportError: no; exit 3"]),
        json!(["python3", "-c", "raise ImportError"]),
    ] {
        let refused = blocker(&home, json!({"command": nothing})).unwrap_err();
        says(
            &refused,
            "message",
            "cannot show missing_dependency; accepted: python",
        );
    }
    let other = json!({"cause": "unsupported_backend", "framework": "vllm",
        "command": ["python3", "-c", "import a_kernel_library"]});
    let refused = blocker(&home, other).unwrap_err();
    says(
        &refused,
        "message",
        "no line of the output shows unsupported_backend",
    );

    let path = json!({"missing_path": home.workspace().join("libnccl.so")});
    assert_eq!(blocker(&home, path).unwrap()["kind"], "blocker");
    let command = json!({"command": ["python3", "-c", "import hf_abcdefghijkl"]});
    let seen = blocker(&home, command).unwrap();
    assert_eq!(seen["recorded"]["seen"]["exit"], 1, "{seen:#}");
    says(&seen["recorded"], "shown_by", "ModuleNotFoundError");
    assert_eq!(seen["recorded"]["of_framework"], false);
    let log = std::fs::read_to_string(seen["recorded"]["seen"]["log"].as_str().unwrap()).unwrap();
    assert!(
        log.contains("[redacted]") && log.contains("exit 1"),
        "{log}"
    );

    let ask = |evidence: Value| json!({"action": "finish", "outcome": "external", "reason": "no wheel", "evidence": evidence});
    let refused = home.call("campaign", &ask(json!([2]))).unwrap_err();
    assert_eq!(refused["gate"], "external");
    let status = home.call("campaign", &ask(json!([3]))).unwrap();
    assert_eq!(status["phase"], "finished", "{status:#}");
    assert_eq!(status["finished"]["answer"], "no");
    let report = std::path::Path::new(opened["root"].as_str().unwrap()).join("final_report.md");
    let report = std::fs::read_to_string(report).unwrap();
    assert!(
        report.contains("Target-environment SOTA: **no**"),
        "{report}"
    );
    assert!(report.contains("tokenspeed: not simulated"), "{report}");
    let again = home.call("campaign", &ask(json!([3]))).unwrap_err();
    says(&again, "message", "finished at event");
}

#[test]
fn two_servers_lose_and_mix_nothing() {
    let home = Home::new();
    let opened = open(&home);
    let missing = home.workspace().join("nothing");
    let servers: Vec<_> = (0..2)
        .map(|server| {
            let home = &home;
            let calls = (0..5).map(move |call| {
                json!({"kind": "blocker", "cause": "missing_dependency",
                    "detail": format!("{server} {call}"), "missing_path": missing_of(home)})
            });
            calls.collect::<Vec<_>>()
        })
        .collect();
    std::thread::scope(|scope| {
        for calls in &servers {
            let home = &home;
            scope.spawn(move || {
                for call in calls {
                    home.call("update_ledger", call).unwrap();
                }
            });
        }
    });
    assert!(!missing.exists());
    let status = home.call("campaign", &json!({"action": "status"})).unwrap();
    assert_eq!(status["events"], 11);
    let text = std::fs::read_to_string(log(&opened["root"])).unwrap();
    for calls in &servers {
        let places: Vec<usize> = calls
            .iter()
            .map(|call| {
                text.find(&format!("\"detail\":{}", call["detail"]))
                    .unwrap()
            })
            .collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

fn missing_of(home: &Home) -> std::path::PathBuf {
    home.workspace().join("nothing")
}

#[test]
fn an_edited_log_is_refused_and_an_edited_file_is_rendered_again() {
    let home = Home::new();
    let opened = open(&home);
    let root = std::path::Path::new(opened["root"].as_str().unwrap());
    let checkpoint = root.join("humanize/model-loop-checkpoint.md");
    let before = std::fs::read_to_string(&checkpoint).unwrap();
    std::fs::write(&checkpoint, before.replace("sim-8b", "other")).unwrap();
    let status = home.call("campaign", &json!({"action": "status"})).unwrap();
    says(&status, "warnings", "was edited by hand");
    assert_eq!(std::fs::read_to_string(&checkpoint).unwrap(), before);

    blocker(&home, json!({"missing_path": "/nowhere/at/all"})).unwrap();
    let path = log(&opened["root"]);
    let whole = std::fs::read_to_string(&path).unwrap();
    let first = whole.lines().next().unwrap();
    for edited in [whole.replace("no wheel", "a wheel"), format!("{first}\n")] {
        std::fs::write(&path, edited).unwrap();
        let refused = home
            .call("campaign", &json!({"action": "status"}))
            .unwrap_err();
        assert_eq!(refused["error"], "log_tampered", "{refused:#}");
        let refused = blocker(&home, json!({"missing_path": "/nowhere/at/all"})).unwrap_err();
        assert_eq!(refused["error"], "log_tampered");
    }
    std::fs::write(&path, whole).unwrap();
    home.call("campaign", &json!({"action": "status"})).unwrap();
}

#[test]
fn abandoning_is_always_allowed_and_said_as_such() {
    let home = Home::new();
    open(&home);
    for outcome in ["success", "tied", "at_limit"] {
        let ask = json!({"action": "finish", "outcome": outcome, "reason": "x"});
        let refused = home.call("campaign", &ask).unwrap_err();
        assert_eq!(refused["error"], "gate_refused", "{outcome}");
    }
    let ask = json!({"action": "finish", "outcome": "abandoned", "reason": "no time left"});
    let status = home.call("campaign", &ask).unwrap();
    assert_eq!(status["finished"]["outcome"], "abandoned");
}
