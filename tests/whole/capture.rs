//! Profiler captures on simulated engines: both ways of starting a profiler,
//! by job, command line and MCP.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::plans::{plan, rows, run, sim};
use crate::running::Running;
use crate::support::{Home, read, wait_for};

/// Measures one framework, so that it has a winner.
pub fn measured(home: &Home, dialect: &str, extra: &[&str]) {
    let mut flags = vec!["--layers", "6"];
    flags.extend(extra);
    let record = run(
        home,
        &plan(json!({dialect: {"command": sim(home, dialect, &flags)}})),
    );
    assert_eq!(record["state"], "done", "{record:#}");
}

pub fn capture(home: &Home, request: Value) -> Value {
    home.call("profile", &json!({"capture": request, "wait_s": 120}))
        .unwrap()
}

fn stage<'a>(record: &'a Value, name: &str) -> &'a Value {
    record["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stage| stage["stage"] == name)
        .unwrap_or_else(|| panic!("no {name}: {record:#}"))
}

pub fn message(failure: &Value) -> &str {
    failure["message"].as_str().unwrap()
}

fn path(value: &Value) -> PathBuf {
    PathBuf::from(value.as_str().unwrap())
}

#[test]
fn an_engine_that_is_told_the_steps_records_both_stages_with_and_without_graphs() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let record = capture(&home, json!({"framework": "sglang", "graphs": "both"}));
    assert_eq!(record["state"], "done", "{record:#}");
    home.wait_until_no_engine();
    let traces = record["traces"].as_array().unwrap();
    let kinds: Vec<String> = traces
        .iter()
        .map(|trace| {
            assert!(path(&trace["path"]).is_file());
            format!(
                "{} {}",
                trace["graphs"].as_str().unwrap(),
                trace["stage"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "graphs-on prefill",
            "graphs-on decode",
            "graphs-off prefill",
            "graphs-off decode"
        ]
    );
    assert_eq!(record["framework"], "sglang");
    assert_eq!(stage(&record, "prefill")["steps"], 5);
    assert_eq!(stage(&record, "decode")["steps"], 5);
    let warnings = record["warnings"].to_string();
    assert!(!warnings.contains("steps were recorded"), "{warnings}");
    assert_eq!(stage(&record, "prefill")["shapes"][0]["tokens"], 32);
    let top = &stage(&record, "decode")["kernels"][0]["locations"][0];
    assert_eq!(top["method"], "replay_order_mapping", "{top:#}");
    let folder = home.workspace().join("out/profiles/sglang");
    assert_eq!(path(&record["report_path"]), folder.join("report.md"));
    assert!(read(folder.join("report.md")).contains("## Decode: 5 steps"));
    assert!(folder.join("graphs-on/decode/server_args.json").is_file());
    // A profiler that has ended by itself is not stopped again.
    let job = home
        .workspace()
        .join("out/jobs")
        .join(record["job_id"].as_str().unwrap());
    for log in ["server-graphs-on.log", "server-graphs-off.log"] {
        let text = read(job.join(log));
        assert!(
            text.contains("Profiling done.") && !text.contains("RuntimeError"),
            "{text}"
        );
    }
    let again = capture(&home, json!({"framework": "sglang", "graphs": "both"}));
    assert_eq!(again["job_id"], record["job_id"]);
}

#[test]
fn a_prefill_alone_reports_no_decode_of_its_one_token_requests() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let record = capture(
        &home,
        json!({"framework": "sglang", "stage": "prefill", "steps": 7}),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    let stages: Vec<_> = record["stages"].as_array().unwrap().iter().collect();
    assert_eq!(stages.len(), 1, "{record:#}");
    assert_eq!(
        (&stages[0]["stage"], &stages[0]["steps"]),
        (&json!("prefill"), &json!(7))
    );
}

#[test]
fn an_engine_that_is_told_the_folder_at_launch_records_a_batch() {
    let home = Home::new();
    measured(&home, "vllm", &[]);
    let record = capture(
        &home,
        json!({"framework": "vllm", "stage": "decode", "batch": 4, "steps": 8, "output_len": 300}),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    home.wait_until_no_engine();
    let decode = stage(&record, "decode");
    assert!(decode["steps"].as_u64().unwrap() >= 8, "{decode:#}");
    assert_eq!(decode["shapes"][0]["batch"], 4);
    assert_eq!(record["lengths"]["input_len"], 32);
    assert_eq!(record["lengths"]["output_len"], 300);
    let spec = read(
        home.workspace()
            .join("out/jobs")
            .join(record["job_id"].as_str().unwrap())
            .join("spec.json"),
    );
    assert!(spec.contains("\"framework\": \"vllm\""));
}

#[test]
fn an_engine_whose_steps_are_fixed_at_launch_is_launched_for_each_stage() {
    let home = Home::new();
    let command = sim(&home, "openai", &["--layers", "6"]);
    let plan = plan(json!({"trtllm": {"command": command}}));
    assert_eq!(run(&home, &plan)["state"], "done");
    let record = capture(&home, json!({"framework": "trtllm", "batch": 2}));
    assert_eq!(record["state"], "done", "{record:#}");
    home.wait_until_no_engine();
    assert_eq!(stage(&record, "prefill")["steps"], 5);
    assert_eq!(stage(&record, "prefill")["shapes"][0]["tokens"], 32);
    assert_eq!(stage(&record, "decode")["steps"], 5);
    assert_eq!(stage(&record, "decode")["shapes"][0]["batch"], 2);
    let names: Vec<PathBuf> = record["traces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trace| path(&trace["path"]))
        .collect();
    let folder = home.workspace().join("out/profiles/trtllm/graphs-on");
    assert_eq!(
        names,
        [
            folder.join("prefill/trace.json"),
            folder.join("decode/trace.json")
        ]
    );
}

#[test]
fn the_command_line_follows_a_capture_and_prints_its_tables() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let output = home.run(&["capture", "sglang", "--stage", "decode"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in ["DECODE: 5 steps", "trace:  ", "graphs-on decode, rank 0"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = home.run(&[
        "capture", "sglang", "--stage", "prefill", "--detach", "--json",
    ]);
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = record["job_id"].as_str().unwrap();
    let output = home.run(&["capture", "--job", id, "--json"]);
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(record["stages"][0]["stage"], "prefill");
    let output = home.run(&["capture", "vllm"]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("no good run of vllm; it has: sglang chat"),
        "{error}"
    );
}

#[test]
fn a_cancelled_capture_is_followed_to_exit_code_130() {
    let home = Home::new();
    measured(&home, "sglang", &[]);
    let slow = [
        "capture",
        "sglang",
        "--stage",
        "decode",
        "--warmup-steps",
        "1000",
        "--output-len",
        "4096",
    ];
    let detached = home.run(&[&slow[..], &["--detach", "--json"]].concat());
    let record: Value = serde_json::from_slice(&detached.stdout).unwrap();
    let id = record["job_id"].as_str().unwrap();
    let mut followed = home
        .command(&["capture", "--job", id])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the engine", || !home.engines().is_empty());
    let cancelled = home.run(&["capture", "--job", id, "--cancel"]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    assert_eq!(followed.wait().unwrap().code(), Some(130));
    let later = home.run(&["capture", "--job", id, "--json"]);
    assert_eq!(later.status.code(), Some(130), "{later:?}");
    home.wait_until_no_engine();
}

#[test]
fn ranks_are_captured_and_their_collectives_matched() {
    let home = Home::new();
    let mut two = plan(json!({"vllm": {"command": sim(&home, "vllm", &["--layers", "4"])}}));
    two["hardware"] = json!({"gpu_count": 2, "gpu_ids": [0, 1]});
    two["frameworks"]["vllm"]["base_server_flags"] = json!({"tensor_parallel_size": 2});
    assert_eq!(run(&home, &two)["state"], "done");
    let row = &rows(&home)[0];
    let whole = row["metrics"]["request_throughput"].as_f64().unwrap();
    assert_eq!(row["per_gpu"]["request_throughput"], json!(whole / 2.0));
    let record = capture(
        &home,
        json!({"framework": "vllm", "stage": "decode", "ranks": 2}),
    );
    assert_eq!(record["state"], "done", "{record:#}");
    let ranks: Vec<u64> = record["traces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|trace| trace["rank"].as_u64().unwrap())
        .collect();
    assert_eq!(ranks, [0, 1]);
    assert_eq!(record["ranks"]["ranks"], json!([0, 1]));
}

#[test]
fn a_campaign_keeps_traces_and_a_digest_by_round_and_compares_with_the_leader() {
    let home = Home::new();
    let opened = home
        .call(
            "campaign",
            &json!({"action": "open", "model": "sim-8b", "precision": "bf16",
                "hardware": {"gpu_model": "none"}, "comparison_frameworks": ["vllm"]}),
        )
        .unwrap();
    let root = path(&opened["root"]);
    let frameworks = json!({
        "sglang": {"command": sim(&home, "sglang", &["--layers", "4", "--extra-step-ms", "4"])},
        "vllm": {"command": sim(&home, "vllm", &["--layers", "4"])},
    });
    home.call(
        "run_benchmark",
        &json!({"plan": plan(frameworks), "label": "smoke", "wait_s": 60}),
    )
    .unwrap();
    let leader = capture(&home, json!({"framework": "vllm", "stage": "decode"}));
    assert_eq!(leader["state"], "done", "{leader:#}");
    let record = capture(&home, json!({"framework": "sglang", "stage": "decode"}));
    assert_eq!(record["state"], "done", "{record:#}");
    let trace = path(&record["traces"][0]["path"]);
    assert!(trace.starts_with(root.join("profiles/0/sglang/graphs-on/decode")));
    assert_eq!(record["comparison"][0]["compare"]["framework"], "vllm");
    assert!(record["comparison"][0]["gap_us"].as_f64().unwrap() > 1000.0);
    let digest = root.join("humanize/profile-digests/0-sglang.md");
    assert_eq!(path(&record["digest_path"]), digest);
    let text = read(&digest);
    for part in [
        "# Profile of sglang chat, round 0",
        "## sglang against vllm",
        "## Decode",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // The analysis of a trace reports under the round and framework, too.
    let analysed = home
        .call("profile", &json!({"input": trace.parent().unwrap()}))
        .unwrap();
    assert!(path(&analysed["report_path"]).starts_with(root.join("profiles/0/sglang")));
    // Not the leader: its traces go, its report stays.
    let kept = capture(
        &home,
        json!({"framework": "sglang", "stage": "decode", "keep_traces": "leader"}),
    );
    assert_eq!(kept["traces"], json!([]), "{kept:#}");
    assert!(!trace.exists());
    assert!(root.join("profiles/0/sglang/report.md").is_file());
    assert!(path(&leader["traces"][0]["path"]).exists());
}

#[test]
fn a_running_server_is_profiled_and_left_running() {
    let home = Home::new();
    let mut server = Running::start(&home, "sglang", &[]);
    let request =
        json!({"framework": "sglang", "server": server.url, "input_len": 50, "output_len": 200});
    let record = capture(&home, request.clone());
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(stage(&record, "prefill")["shapes"][0]["tokens"], 50);
    assert!(server.child.try_wait().unwrap().is_none());
    let again = capture(&home, request);
    assert_ne!(again["job_id"], record["job_id"]);
    let both = home
        .call(
            "profile",
            &json!({"capture": {"framework": "sglang", "server": server.url, "graphs": "both"}}),
        )
        .unwrap_err();
    assert_eq!(both["error"], "invalid_argument");
}

#[test]
fn a_running_server_with_a_folder_of_its_own_is_profiled_there() {
    let home = Home::new();
    let traces = home.workspace().join("their-traces");
    let server = Running::start(&home, "vllm", &["--profiler-dir", traces.to_str().unwrap()]);
    let mut request =
        json!({"framework": "vllm", "server": server.url, "scenario": "chat", "stage": "decode"});
    let missing = home
        .call("profile", &json!({"capture": request}))
        .unwrap_err();
    assert!(missing["hint"].as_str().unwrap().contains("trace_dir"));
    request["trace_dir"] = json!(traces);
    let record = capture(&home, request);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(record["lengths"]["basis"], "standard scenario chat");
    // Copied, not taken away.
    assert_eq!(std::fs::read_dir(&traces).unwrap().count(), 1);
}

#[test]
fn a_capture_waits_for_the_gpus_of_a_benchmark() {
    let home = Home::new();
    let on_gpu = |extra: &[&str]| {
        let mut plan = plan(json!({"vllm": {"command": sim(&home, "vllm", extra)}}));
        plan["hardware"] = json!({"gpu_ids": [0]});
        plan
    };
    assert_eq!(run(&home, &on_gpu(&["--layers", "4"]))["state"], "done");
    let busy = home
        .call(
            "run_benchmark",
            &json!({"plan": on_gpu(&["--fault", "never-ready"]), "wait_s": 0}),
        )
        .unwrap();
    wait_for("the engine", || !home.engines().is_empty());
    let waiting = home
        .call(
            "profile",
            &json!({"capture": {"framework": "vllm", "stage": "decode"}, "wait_s": 2}),
        )
        .unwrap();
    assert_eq!(waiting["state"], "queued", "{waiting:#}");
    assert!(message(&waiting).contains(busy["job_id"].as_str().unwrap()));
    home.call(
        "run_benchmark",
        &json!({"job_id": busy["job_id"], "cancel": true, "wait_s": 30}),
    )
    .unwrap();
    let done = home
        .call(
            "profile",
            &json!({"job_id": waiting["job_id"], "wait_s": 120}),
        )
        .unwrap();
    assert_eq!(done["state"], "done", "{done:#}");
    home.wait_until_no_engine();
}

#[test]
fn prompts_from_a_file_are_captured_at_their_slower_bucket() {
    let home = Home::new();
    let mut lines = String::new();
    for index in 0..20 {
        let (input, output) = if index % 10 == 0 { (400, 60) } else { (40, 8) };
        let ids: Vec<u32> = (0..input).map(|at| 200 + at + index).collect();
        lines.push_str(&json!({"prompt": ids, "output_len": output}).to_string());
        lines.push('\n');
    }
    let prompts = home.write("prompts.jsonl", &lines);
    let mut plan = plan(json!({"sglang": {"command": sim(&home, "sglang", &["--layers", "4"])}}));
    plan["dataset"] = json!({"kind": "jsonl", "path": prompts, "num_prompts": 20, "scenario_names": ["mine"], "input_len": [1]});
    assert_eq!(run(&home, &plan)["state"], "done");
    let record = capture(&home, json!({"framework": "sglang", "stage": "prefill"}));
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(
        record["lengths"]["input_len"], 400,
        "{:#}",
        record["lengths"]
    );
    assert_eq!(record["lengths"]["output_len"], 60);
    assert!(record["lengths"]["basis"].as_str().unwrap().contains("p95"));
    assert_eq!(stage(&record, "prefill")["shapes"][0]["tokens"], 400);
}
