//! Everything that can go wrong, one test each: a clear error or a row with its
//! status, nothing lost, no process left.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::plans::{plan, rows, run, sim};
use crate::support::{Home, read, wait_for};

/// Runs a single-engine plan and returns its only row.
fn only_row(home: &Home, framework: Value) -> Value {
    let record = run(home, &plan(json!({"vllm": framework})));
    assert_eq!(record["state"], "done", "{record:#}");
    home.wait_until_no_engine();
    let rows = rows(home);
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

fn reason(row: &Value) -> &str {
    row["failure_reason"].as_str().unwrap()
}

#[test]
fn a_wrong_plan_names_the_key_the_line_and_the_nearest_right_key() {
    let home = Home::new();
    let text = "model: {name: m}\ndataset:\n  num_prompt: 4\nframeworks: {vllm: {}}\n";
    let path = home.write("plan.yaml", text);
    let error = home
        .call("run_benchmark", &json!({"plan": path}))
        .unwrap_err();
    assert_eq!(error["error"], "invalid_plan");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("plan.yaml:3:") && message.contains("`num_prompt`"),
        "{message}"
    );
    assert_eq!(error["hint"], "did you mean `num_prompts`?");

    let text = "model: {name: m}\ndataset:\n  num_prompts: many\nframeworks: {vllm: {}}\n";
    let path = home.write("plan.yaml", text);
    let error = home
        .call("run_benchmark", &json!({"plan": path}))
        .unwrap_err();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("plan.yaml:3: `num_prompts`"), "{message}");

    let text = "model: {name: m}\ndataset: {}\nsearch:\n  tier: 9\nframeworks: {vllm: {}}\n";
    let path = home.write("plan.yaml", text);
    let error = home
        .call("run_benchmark", &json!({"plan": path}))
        .unwrap_err();
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("plan.yaml:4: `search.tier`: is not 1, 2 or 3"),
        "{message}"
    );
}

#[test]
fn an_unknown_engine_is_refused_before_anything_is_launched() {
    let home = Home::new();
    let plan = plan(json!({"vllmm": {}}));
    let error = home
        .call("run_benchmark", &json!({"plan": plan}))
        .unwrap_err();
    assert_eq!(error["error"], "invalid_plan");
    assert_eq!(error["hint"], "did you mean `vllm`?");
}

#[test]
fn a_wrong_flag_is_refused_before_anything_is_launched() {
    let home = Home::new();
    let plan = plan(json!({"vllm": {
        "command": sim(&home, "vllm", &[]),
        "base_server_flags": {"max_num_seqs": 8, "gpu_memory_utilisation": 0.8},
    }}));
    let record = run(&home, &plan);
    assert_eq!(record["state"], "failed", "{record:#}");
    let failure = &record["failure"];
    assert_eq!(failure["error"], "invalid_plan");
    assert_eq!(
        failure["message"],
        "vllm: there is no flag `--gpu-memory-utilisation`; did you mean `--gpu-memory-utilization`?"
    );
    let help = home.workspace().join("out/help/vllm-server.txt");
    let hint = failure["hint"].as_str().unwrap();
    assert!(
        hint.contains(help.parent().unwrap().to_str().unwrap()),
        "{hint}"
    );
    assert!(read(help).contains("--gpu-memory-utilization"));
    assert_eq!(record["total"], 0);
    home.wait_until_no_engine();
}

#[test]
fn an_unknown_flag_is_a_row_with_the_line_that_says_so() {
    let home = Home::new();
    let flags = json!({"no_such_flag": 1});
    let row = only_row(
        &home,
        json!({"command": sim(&home, "vllm", &[]), "base_server_flags": flags, "check_flags": false}),
    );
    assert_eq!(row["status"], "failed");
    assert!(reason(&row).starts_with("unknown_flag: "), "{row:#}");
    assert!(reason(&row).contains("--no-such-flag"), "{row:#}");
}

#[test]
fn a_port_in_use_is_a_row() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let flags = json!({"port": port});
    let mut command = sim(&home, "vllm", &[]);
    let command = command.as_array_mut().unwrap();
    let at = command.iter().position(|word| word == "--port").unwrap();
    command.drain(at..at + 2);
    let row = only_row(
        &home,
        json!({"command": command, "base_server_flags": flags}),
    );
    assert_eq!(row["status"], "failed");
    assert!(
        reason(&row).contains(&format!("port_taken: port {port} is in use")),
        "{row:#}"
    );
}

#[test]
fn a_server_that_dies_under_load_is_a_row_with_its_last_words() {
    let home = Home::new();
    let row = only_row(
        &home,
        json!({"command": sim(&home, "vllm", &["--fault", "crash-after=40"])}),
    );
    assert_eq!(row["status"], "failed");
    assert!(reason(&row).contains("under load"), "{row:#}");
    let raw = row["artifacts"]["raw_result"].as_str().unwrap();
    assert!(std::path::Path::new(raw).is_file());
}

#[test]
fn out_of_memory_at_load_and_under_load_are_oom_rows() {
    let home = Home::new();
    let row = only_row(
        &home,
        json!({"command": sim(&home, "vllm", &["--fault", "oom-at-load"])}),
    );
    assert_eq!(row["status"], "oom");
    assert!(reason(&row).contains("out of memory"), "{row:#}");
    let home = Home::new();
    let row = only_row(
        &home,
        json!({"command": sim(&home, "sglang", &["--fault", "oom-after=3"])}),
    );
    assert_eq!(row["status"], "oom", "{row:#}");
    assert!(reason(&row).contains("out of memory"), "{row:#}");
}

#[test]
fn a_server_that_never_gets_ready_is_a_timeout_row() {
    let home = Home::new();
    let mut plan =
        plan(json!({"vllm": {"command": sim(&home, "vllm", &["--fault", "never-ready"])}}));
    plan["timeouts"]["ready_s"] = json!(1);
    run(&home, &plan);
    home.wait_until_no_engine();
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "timeout");
    assert!(reason(row).contains("not ready within 1 s"), "{row:#}");
}

#[test]
fn a_run_that_does_not_end_is_a_timeout_row_with_its_samples() {
    let home = Home::new();
    let mut plan =
        plan(json!({"vllm": {"command": sim(&home, "vllm", &["--extra-step-ms", "400"])}}));
    plan["timeouts"]["run_s"] = json!(1);
    run(&home, &plan);
    home.wait_until_no_engine();
    let row = &rows(&home)[0];
    assert_eq!(row["status"], "timeout", "{row:#}");
    assert_eq!(reason(row), "the run did not end within 1 s");
    let raw = row["artifacts"]["raw_result"].as_str().unwrap();
    assert!(std::path::Path::new(raw).is_file());
}

#[test]
fn a_server_that_hangs_on_stop_is_killed_and_reported() {
    let home = Home::new();
    let mut plan =
        plan(json!({"vllm": {"command": sim(&home, "vllm", &["--fault", "ignore-sigterm"])}}));
    plan["timeouts"]["stop_s"] = json!(1);
    let record = run(&home, &plan);
    assert!(home.engines().is_empty());
    assert_eq!(rows(&home)[0]["status"], "ok");
    let warnings = record["warnings"].to_string();
    assert!(
        warnings.contains("ignored SIGTERM for 1 s and was killed"),
        "{warnings}"
    );
}

#[test]
fn a_program_that_is_not_there_is_a_row() {
    let home = Home::new();
    let row = only_row(
        &home,
        json!({"command": ["no-such-program-here", "{port}"]}),
    );
    assert_eq!(row["status"], "failed");
    assert!(
        reason(&row).contains("`no-such-program-here` was not found"),
        "{row:#}"
    );
}

#[test]
fn a_failed_repeat_is_not_tried_again_and_the_others_go_on() {
    let home = Home::new();
    let mut plan = plan(json!({
        "bad": {"engine": "vllm", "command": sim(&home, "vllm", &["--fault", "oom-at-load"])},
        "good": {"engine": "vllm", "command": sim(&home, "vllm", &[])},
    }));
    plan["search"]["repeats"] = json!(2);
    run(&home, &plan);
    let seen: Vec<String> = rows(&home)
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row["framework"].as_str().unwrap(),
                row["status"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(seen, ["bad oom", "good ok", "good ok", "bad skipped"]);
}

/// Needs a file system of its own to fill, which only root may mount.
#[test]
fn a_full_disk_ends_the_job_with_its_reason() {
    let home = Home::new();
    let out = home.workspace().join("out");
    std::fs::create_dir(&out).unwrap();
    let Some(_mounted) = SmallDisk::mount(&out) else {
        eprintln!("not run: mounting a small file system needs root");
        return;
    };
    let plan = plan(json!({"vllm": {"command": sim(&home, "vllm", &["--extra-ttft-ms", "2000"])}}));
    let started = home
        .call("run_benchmark", &json!({"plan": plan, "wait_s": 0}))
        .unwrap();
    wait_for("the engine", || !home.engines().is_empty());
    fill(&out.join("filler"));
    let record = home
        .call(
            "run_benchmark",
            &json!({"job_id": started["job_id"], "wait_s": 60}),
        )
        .unwrap();
    assert_eq!(record["state"], "failed", "{record:#}");
    assert_eq!(record["failure"]["error"], "not_writable");
    assert!(
        record["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("No space left"),
        "{record:#}"
    );
    home.wait_until_no_engine();
}

/// A file system of one MiB, unmounted when dropped.
pub struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    pub fn mount(at: &std::path::Path) -> Option<Self> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
            .then(|| Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn fill(path: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

#[test]
fn a_job_folder_edited_by_hand_is_refused() {
    let home = Home::new();
    let plan = plan(json!({"vllm": {"command": sim(&home, "vllm", &[])}}));
    let record = run(&home, &plan);
    let job = record["job_id"].as_str().unwrap();
    let dir = home.workspace().join("out/jobs").join(job);
    let ask = || home.call("run_benchmark", &json!({"job_id": job, "wait_s": 0}));
    for name in ["result.json", "spec.json"] {
        let path = dir.join(name);
        let before = read(&path);
        std::fs::write(&path, before.replace("vllm", "mllv")).unwrap();
        let error = ask().unwrap_err();
        assert_eq!(error["error"], "job_tampered", "{name}: {error:#}");
        assert!(error["message"].as_str().unwrap().contains(name));
        std::fs::write(&path, before).unwrap();
        ask().unwrap();
    }
    std::fs::write(dir.join("status.json"), "{").unwrap();
    assert_eq!(ask().unwrap_err()["error"], "job_tampered");
    let unknown = home
        .call("run_benchmark", &json!({"job_id": "../x"}))
        .unwrap_err();
    assert_eq!(unknown["error"], "job_unknown");
}

#[test]
fn two_jobs_on_one_gpu_set_take_turns() {
    let home = Home::new();
    let on_gpu = |name: &str, extra: &[&str]| {
        let mut plan =
            plan(json!({name: {"engine": "vllm", "command": sim(&home, "vllm", extra)}}));
        plan["hardware"] = json!({"gpu_ids": [0]});
        plan
    };
    let first = on_gpu("one", &["--fault", "never-ready"]);
    let first = home
        .call("run_benchmark", &json!({"plan": first, "wait_s": 0}))
        .unwrap();
    wait_for("the first engine", || !home.engines().is_empty());
    let second = on_gpu("two", &[]);
    let waiting = home
        .call("run_benchmark", &json!({"plan": second, "wait_s": 2}))
        .unwrap();
    assert_eq!(waiting["state"], "queued", "{waiting:#}");
    let message = waiting["message"].as_str().unwrap();
    assert!(
        message.contains(first["job_id"].as_str().unwrap()),
        "{message}"
    );
    home.call(
        "run_benchmark",
        &json!({"job_id": first["job_id"], "cancel": true, "wait_s": 30}),
    )
    .unwrap();
    let done = home
        .call(
            "run_benchmark",
            &json!({"job_id": waiting["job_id"], "wait_s": 60}),
        )
        .unwrap();
    assert_eq!(done["state"], "done", "{done:#}");
    home.wait_until_no_engine();
}

#[test]
fn secrets_do_not_reach_the_disk() {
    let home = Home::new();
    let script = "echo using $HF_TOKEN; exit 3";
    let framework = json!({
        "engine": "openai",
        "command": ["sh", "-c", script, "{port}"],
        "env_from": ["HF_TOKEN"],
    });
    let arguments = json!({"plan": plan(json!({"mine": framework})), "wait_s": 60}).to_string();
    let output = home
        .command(&["call", "run_benchmark", &arguments])
        .env("HF_TOKEN", "hf_abcdefghijklmnop")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(rows(&home)[0]["status"], "failed");
    let mut files = Vec::new();
    list(&home.workspace().join("out"), &mut files);
    let mut seen_log = false;
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("abcdefghijklmnop"), "{}", file.display());
        seen_log |= text.contains("using [redacted]");
    }
    assert!(seen_log, "the engine's own line is missing");
}

#[test]
fn a_plan_that_holds_a_secret_is_refused() {
    let home = Home::new();
    for (key, framework) in [
        (
            "command",
            json!({"engine": "openai", "command": ["serve", "{port}", "--api-key", "abc"]}),
        ),
        (
            "base_server_flags",
            json!({"base_server_flags": {"api_key": "abc"}}),
        ),
        ("env", json!({"env": {"HF_TOKEN": "abc"}})),
    ] {
        let plan = plan(json!({"vllm": framework}));
        let error = home
            .call("run_benchmark", &json!({"plan": plan}))
            .unwrap_err();
        assert_eq!(error["error"], "invalid_plan");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(&format!("`frameworks.vllm.{key}`: holds")),
            "{message}"
        );
        assert!(error["hint"].as_str().unwrap().contains("env_from"));
    }
}

fn list(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
