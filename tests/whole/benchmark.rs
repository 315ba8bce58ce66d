//! Whole benchmark jobs on simulated engines.

use serde_json::json;

use crate::plans::{plan, rows, run, sim};
use crate::running::Running;
use crate::support::{Home, read, wait_for};

#[test]
fn winners_repeat_in_abba_order_and_neighbours_share_a_launch() {
    let home = Home::new();
    let mut plan = plan(json!({
        "sglang": {
            "command": sim(&home, "sglang", &[]),
            "search_space": {"extra_step_ms": [4]},
        },
        "vllm": {"command": sim(&home, "vllm", &[])},
    }));
    plan["search"]["repeats"] = json!(3);
    let record = run(&home, &plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let order: Vec<String> = rows(&home)
        .iter()
        .map(|row| {
            assert_eq!(row["status"], "ok", "{row:#}");
            format!(
                "{} {} {} {} launch {}",
                row["phase"].as_str().unwrap(),
                row["framework"].as_str().unwrap(),
                row["candidate_id"].as_str().unwrap(),
                row["repeat"],
                row["launch"]
            )
        })
        .collect();
    assert_eq!(
        order,
        [
            "search sglang base 0 launch 1",
            "search sglang extra_step_ms=4 0 launch 2",
            "measure sglang base 1 launch 3",
            "measure vllm base 1 launch 4",
            "measure vllm base 2 launch 4",
            "measure sglang base 2 launch 5",
            "measure sglang base 3 launch 5",
            "measure vllm base 3 launch 6",
        ]
    );
    home.wait_until_no_engine();
}

#[test]
fn a_running_server_is_measured_and_left_running() {
    let home = Home::new();
    let mut server = Running::start(&home, "vllm", &["--served-model-name", "sim-8b"]);
    let mut frameworks = json!({"vllm": {"url": server.url}});
    let record = run(&home, &plan(frameworks.clone()));
    assert_eq!(record["state"], "done", "{record:#}");
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "ok", "{row:#}");
    assert_eq!(row["extras"]["output_tokens"]["total"], 6 * 16, "{row:#}");
    assert_eq!(row["server_argv"], json!([]));
    assert!(server.child.try_wait().unwrap().is_none());
    frameworks["vllm"]["base_server_flags"] = json!({"max_model_len": 100});
    let error = home
        .call("run_benchmark", &json!({"plan": plan(frameworks)}))
        .unwrap_err();
    assert_eq!(error["error"], "invalid_plan");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("frameworks.vllm.base_server_flags"),
        "{message}"
    );
}

#[test]
fn rows_hold_what_was_asked_and_what_was_measured() {
    let home = Home::new();
    let mut plan = plan(json!({"vllm": {"command": sim(&home, "vllm", &[])}}));
    plan["warmup"]["requests"] = json!(2);
    let record = run(&home, &plan);
    assert_eq!(record["winners"][0]["framework"], "vllm");
    let row = &rows(&home)[0];
    assert_eq!(row["workload"]["input_len_p50"], 32.0);
    assert_eq!(row["workload"]["output_len_p50"], 16.0);
    assert_eq!(row["metrics"]["success_rate"], 1.0);
    // 6 requests of 16 tokens, as the server's own counter has it.
    assert_eq!(row["server_generation_tokens_delta"], 96.0);
    assert_eq!(row["server_counts"]["prompt_tokens"], 192.0);
    assert_eq!(row["framework_version"], env!("CARGO_PKG_VERSION"));
    for help in ["server_help", "benchmark_help"] {
        let path = row["artifacts"][help].as_str().unwrap();
        assert!(read(path).contains("--"), "{path}");
    }
    let flags = row["validated_cli_flags"]["server"].to_string();
    assert!(flags.contains("--decode-base-ms"), "{flags}");
    assert!(row["timing"]["warmup_passes"].as_u64().unwrap() >= 2);
    assert_eq!(row["sla"]["passed"], true);
    let command = row["server_command"].as_str().unwrap();
    assert!(command.contains("--dialect vllm"), "{command}");
    for artifact in ["server_log", "raw_result"] {
        let path = row["artifacts"][artifact].as_str().unwrap();
        assert!(std::path::Path::new(path).is_file(), "{path}");
    }
    let summary = read(home.workspace().join("out/summary.md"));
    for part in [
        "Best command of each framework",
        "Comparison",
        "Failed or over the SLA\n\nNone.",
    ] {
        assert!(summary.contains(part), "{summary}");
    }
    let commands = read(home.workspace().join("out/winning-commands.md"));
    assert!(commands.contains(command), "{commands}");
}

#[test]
fn a_broken_sla_is_in_the_row_and_loses() {
    let home = Home::new();
    let mut plan = plan(json!({
        "slow": {"engine": "vllm", "command": sim(&home, "vllm", &["--extra-ttft-ms", "300"])},
        "fine": {"engine": "vllm", "command": sim(&home, "vllm", &["--extra-step-ms", "4"])},
    }));
    plan["sla"] = json!({"max_p50_ttft_ms": 200});
    let record = run(&home, &plan);
    assert_eq!(record["winners"][0]["framework"], "fine", "{record:#}");
    let rows = rows(&home);
    assert_eq!(rows[0]["sla"]["passed"], false);
    assert!(
        rows[0]["sla"]["broken"][0]
            .as_str()
            .unwrap()
            .contains("max_p50_ttft_ms is 200")
    );
    assert_eq!(rows[1]["sla"]["passed"], true);
    let gap = home
        .call(
            "check_gap",
            &json!({"rows": home.workspace().join("out/candidates.jsonl"), "target": "slow"}),
        )
        .unwrap();
    assert_eq!(gap["scenarios"][0]["verdict"], "behind");
}

#[test]
fn a_gap_says_where_its_time_went() {
    let home = Home::new();
    let mut plan = plan(json!({
        "sglang": {"command": sim(&home, "sglang", &["--extra-step-ms", "3"])},
        "vllm": {"command": sim(&home, "vllm", &[])},
    }));
    plan["dataset"] = json!({
        "num_prompts": 24, "scenario_names": ["chat"], "input_len": [64], "output_len": [300]
    });
    assert_eq!(run(&home, &plan)["state"], "done");
    for row in rows(&home) {
        let timeline = read(row["artifacts"]["timeline"].as_str().unwrap());
        assert!(timeline.starts_with("{\"kind\":\"run\""), "{timeline}");
        assert!(
            timeline.contains("\"sources\":[\"client\",\"metrics\""),
            "{timeline}"
        );
    }
    let arguments = json!({
        "rows": home.workspace().join("out/candidates.jsonl"), "target": "sglang"
    });
    let gap = home.call("check_gap", &arguments).unwrap();
    let scenario = &gap["scenarios"][0];
    let rows = scenario["attribution"].as_array().unwrap();
    assert_eq!(rows[0]["cause"], "decode_step_time", "{scenario:#}");
    assert!(
        rows[0]["share_pct"].as_f64().unwrap() > 70.0,
        "{scenario:#}"
    );
    assert_eq!(rows[rows.len() - 1]["cause"], "unexplained");
    assert_eq!(scenario["where_to_look"], "kernels");
    assert!(scenario["look_at"]["flags"][0].is_string(), "{scenario:#}");
    assert_eq!(scenario["attributed_repeat"], 1);
}

#[test]
fn the_same_plan_returns_what_is_done() {
    let home = Home::new();
    let plan = plan(json!({"vllm": {"command": sim(&home, "vllm", &[])}}));
    let first = run(&home, &plan);
    let again = run(&home, &plan);
    assert_eq!(first["job_id"], again["job_id"]);
    assert_eq!(again["state"], "done");
    assert_eq!(rows(&home).len(), 1);
}

#[test]
fn a_lost_job_resumes_where_it_was_and_leaves_no_engine() {
    let home = Home::new();
    let slow = |name: &str| sim(&home, name, &["--extra-step-ms", "30"]);
    let mut plan = plan(json!({
        "one": {"engine": "vllm", "command": sim(&home, "vllm", &[])},
        "two": {"engine": "vllm", "command": slow("vllm")},
    }));
    plan["dataset"]["output_len"] = json!([100]);
    let started = home
        .call("run_benchmark", &json!({"plan": plan, "wait_s": 0}))
        .unwrap();
    let job = started["job_id"].as_str().unwrap();
    let dir = home.workspace().join("out/jobs").join(job);
    let path = home.workspace().join("out/candidates.jsonl");
    wait_for("the first row", || path.exists() && !read(&path).is_empty());
    wait_for("the second engine", || !home.engines().is_empty());
    let status: serde_json::Value = serde_json::from_str(&read(dir.join("status.json"))).unwrap();
    let supervisor = i32::try_from(status["pid"].as_u64().unwrap()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(supervisor),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    home.wait_until_no_engine();
    let lost = home
        .call("run_benchmark", &json!({"job_id": job, "wait_s": 0}))
        .unwrap();
    assert_eq!(lost["state"], "lost", "{lost:#}");

    let done = run(&home, &plan);
    assert_eq!(done["job_id"], job);
    assert_eq!(done["state"], "done", "{done:#}");
    let names: Vec<_> = rows(&home)
        .iter()
        .map(|row| row["framework"].clone())
        .collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn the_time_limit_of_a_job_leaves_skipped_rows() {
    let home = Home::new();
    let mut plan = plan(json!({
        "one": {"engine": "vllm", "command": sim(&home, "vllm", &["--extra-step-ms", "80"])},
        "two": {"engine": "vllm", "command": sim(&home, "vllm", &[])},
    }));
    plan["search"]["max_wall_s"] = json!(1);
    let record = run(&home, &plan);
    assert_eq!(record["state"], "done");
    let rows = rows(&home);
    assert_eq!(rows[0]["status"], "ok", "{:#}", rows[0]);
    assert_eq!(rows[1]["status"], "skipped");
    assert!(
        rows[1]["failure_reason"]
            .as_str()
            .unwrap()
            .contains("max_wall_s of 1 s")
    );
}

#[test]
fn a_campaign_keeps_its_smoke_rows_and_its_decision() {
    let home = Home::new();
    let opened = home
        .call(
            "campaign",
            &json!({"action": "open", "model": "sim-8b", "precision": "bf16",
                "hardware": {"gpu_model": "none"}, "comparison_frameworks": ["vllm"]}),
        )
        .unwrap();
    assert_eq!(opened["phase"], "baseline");
    assert_eq!(opened["resumed"], false);
    let plan = plan(json!({
        "sglang": {"command": sim(&home, "sglang", &["--extra-step-ms", "2"])},
        "vllm": {"command": sim(&home, "vllm", &[])},
    }));
    let unlabelled = home
        .call(
            "run_benchmark",
            &json!({"plan": plan, "campaign": opened["campaign"]}),
        )
        .unwrap_err();
    assert!(
        unlabelled["message"]
            .as_str()
            .unwrap()
            .contains("needs a label")
    );
    let record = home
        .call(
            "run_benchmark",
            &json!({"plan": plan, "label": "smoke", "wait_s": 60}),
        )
        .unwrap();
    assert_eq!(record["state"], "done", "{record:#}");
    let gap = home.call("check_gap", &json!({})).unwrap();
    assert_eq!(gap["scenarios"][0]["verdict"], "behind", "{gap:#}");
    let status = home.call("campaign", &json!({"action": "status"})).unwrap();
    assert_eq!(status["gap"]["decision"], "patch");
    assert_eq!(status["events"], 4);
    let again = home
        .call("campaign", &json!({"action": "open", "model": "sim-8b"}))
        .unwrap();
    assert_eq!(again["campaign"], opened["campaign"]);
    assert_eq!(again["resumed"], true);
}

#[test]
fn the_estimate_launches_nothing() {
    let home = Home::new();
    let plan = plan(json!({"vllm": {"command": sim(&home, "vllm", &[])}}));
    home.write("plan.yaml", &plan.to_string());
    let output = home.run(&["bench", "plan.yaml", "--estimate", "--json"]);
    let cost: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(cost["launches"], 1);
    assert_eq!(cost["runs"], 1);
    assert!(!home.workspace().join("out/jobs").exists());
}
