//! What the driver tells, from a stand-in for its library: who holds a GPU, and
//! what it does during a run.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::plans::{plan, rows, sim};
use crate::support::{Home, read, wait_for};

/// A home on a machine with one GPU.
struct Machine {
    home: Home,
    dir: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let home = Home::new();
        let dir = home.workspace().with_file_name("gpu");
        std::fs::create_dir(&dir).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/whole/fake_nvml.c");
        // The linker of a Rust toolchain is a C compiler.
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(dir.join("libnvidia-ml.so.1"))
            .arg(source)
            .status();
        assert!(built.unwrap().success());
        Self { home, dir }
    }

    fn occupy(&self, pid: u32, mib: u64) {
        let line = format!("{pid} {}\n", mib << 20);
        std::fs::write(self.dir.join("processes"), line).unwrap();
    }

    fn call(&self, arguments: &Value) -> Value {
        let output = self
            .home
            .command(&["call", "run_benchmark", &arguments.to_string()])
            .env("LD_LIBRARY_PATH", &self.dir)
            .env("FAKE_GPU", &self.dir)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn plan(&self) -> Value {
        let mut plan = plan(json!({"vllm": {"command": sim(&self.home, "vllm", &[])}}));
        plan["hardware"] = json!({"gpu_ids": [0]});
        plan
    }
}

#[test]
fn a_gpu_in_use_stops_the_job_with_who_uses_it() {
    let machine = Machine::new();
    machine.occupy(std::process::id(), 41_000);
    let record = machine.call(&json!({"plan": machine.plan(), "wait_s": 60}));
    assert_eq!(record["state"], "failed", "{record:#}");
    let failure = &record["failure"];
    assert_eq!(failure["error"], "gpu_busy");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name;
    let message = failure["message"].as_str().unwrap();
    for part in [
        "GPU-11111111-2222",
        &format!("pid {}", std::process::id()),
        &user,
        "41000 MiB",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(machine.home.engines().is_empty());
}

#[test]
fn a_gpu_in_use_is_waited_for_where_the_plan_says_so() {
    let machine = Machine::new();
    machine.occupy(std::process::id(), 41_000);
    let mut plan = machine.plan();
    plan["timeouts"]["wait_for_gpu_s"] = json!(300);
    let job = machine.call(&json!({"plan": plan, "wait_s": 0}))["job_id"].clone();
    let status = machine
        .home
        .workspace()
        .join("out/jobs")
        .join(job.as_str().unwrap())
        .join("status.json");
    wait_for("the job to wait", || read(&status).contains("waiting for"));
    assert!(machine.home.engines().is_empty());
    std::fs::remove_file(machine.dir.join("processes")).unwrap();
    let record = machine.call(&json!({"job_id": job, "wait_s": 60}));
    assert_eq!(record["state"], "done", "{record:#}");
}

#[test]
fn a_run_says_what_its_gpu_did_and_what_a_token_cost() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    plan["dataset"]["output_len"] = json!([1500]);
    let record = machine.call(&json!({"plan": plan, "wait_s": 60}));
    assert_eq!(record["state"], "done", "{record:#}");
    let row = &rows(&machine.home)[0];
    assert_eq!(row["status"], "ok", "{row:#}");
    let gpu = &row["gpu"];
    assert_eq!(gpu["throttled"], true, "{gpu:#}");
    let one = &gpu["gpus"][0];
    assert_eq!(one["power_max_w"], 300.0);
    assert_eq!(one["sm_clock_avg_mhz"], 1980.0);
    assert_eq!(one["temperature_max_c"], 61.0);
    assert_eq!(one["memory_max_mib"], 71_680.0);
    assert_eq!(one["throttle_pct"]["sw_power_cap"], 100.0);
    // 6 requests of 1500 tokens, and the energy counter's growth.
    let energy = gpu["energy_j"].as_f64().unwrap();
    let joules = row["metrics"]["joules_per_output_token"].as_f64().unwrap();
    assert!((joules - energy / 9000.0).abs() < 1e-9, "{joules} {energy}");
    let raw = PathBuf::from(row["artifacts"]["raw_result"].as_str().unwrap());
    let readings: Vec<PathBuf> = std::fs::read_dir(raw.parent().unwrap())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".gpu.jsonl"))
        .collect();
    assert_eq!(readings.len(), 1);
    assert!(read(&readings[0]).lines().count() >= 2);
    let fairness = read(machine.home.workspace().join("out/fairness/diagnostics.md"));
    assert!(fairness.contains("GPU-11111111-2222"), "{fairness}");
}

#[test]
fn a_gpu_that_is_not_there_is_refused() {
    let machine = Machine::new();
    let mut plan = machine.plan();
    plan["hardware"]["gpu_ids"] = json!([3]);
    let error = machine.call(&json!({"plan": plan}));
    assert_eq!(error["error"], "invalid_plan", "{error:#}");
    assert!(
        error["message"].as_str().unwrap().contains('3'),
        "{error:#}"
    );
}
