//! Jobs under a real one-node Slurm. One test, because one cluster serves all.

use serde_json::{Value, json};

use crate::captures::{measured, places, profile};
use crate::home::{Laptop, have, report, slow, with_executor};
use crate::plans::{plan, rows, sim};
use crate::slurm_cluster::Cluster;
use crate::sshd::Sshd;
use crate::support::wait_for;

#[test]
fn slurm() {
    if !have(&["slurmctld", "slurmd", "munged", "sshd"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(dir.path());
    candidates_run_side_by_side_and_the_winner_after_them(&cluster);
    a_capture_runs_on_a_node(&cluster);
    a_queued_job_is_cancelled(&cluster);
    a_running_job_is_cancelled(&cluster);
    a_job_that_slurm_ends_says_so(&cluster);
    what_slurm_refuses_is_told(&cluster);
    a_closed_laptop_loses_nothing(&cluster);
    a_node_that_dies_is_told_and_the_plan_resumes(&cluster);
}

fn laptop(cluster: &Cluster) -> Laptop {
    let mut laptop = Laptop::new();
    laptop.set("SLURM_CONF", cluster.conf());
    let cache = laptop.host.join("cache");
    laptop.set("XDG_CACHE_HOME", cache);
    laptop
}

/// Half of the node for each task, so that two fit.
fn half() -> Value {
    json!(["--cpus-per-task=1"])
}

fn one(laptop: &Laptop, executor: &Value) -> Value {
    let frameworks = json!({"sglang": {"command": sim(&laptop.home, "sglang", &[])}});
    with_executor(plan(frameworks), executor)
}

fn candidates_run_side_by_side_and_the_winner_after_them(cluster: &Cluster) {
    let mut laptop = laptop(cluster);
    let _sshd = Sshd::start(&mut laptop);
    let frameworks = json!({
        "sglang": {
            "command": sim(&laptop.home, "sglang", &["--extra-step-ms", "20"]),
            "search_space": {"extra_ttft_ms": [5]},
        },
        "vllm": {"command": sim(&laptop.home, "vllm", &[])},
    });
    let executor = json!({"kind": "slurm", "host": "here", "partition": "p", "time_limit": "10", "arguments": half()});
    let mut plan = with_executor(plan(frameworks), &executor);
    plan["search"]["repeats"] = json!(2);
    plan["dataset"]["output_len"] = json!([64]);
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let rows = rows(&laptop.home);
    let order: Vec<String> = rows
        .iter()
        .filter(|row| row["phase"] == "measure")
        .map(|row| format!("{} {}", row["framework"].as_str().unwrap(), row["repeat"]))
        .collect();
    assert_eq!(order, ["sglang 1", "vllm 1", "vllm 2", "sglang 2"]);
    let searched: Vec<&Value> = rows.iter().filter(|row| row["phase"] == "search").collect();
    assert_eq!(searched.len(), 2);
    for row in &rows {
        assert_eq!(row["status"], "ok", "{row:#}");
        assert_eq!(row["job_id"], record["job_id"]);
        let executor = &row["executor"];
        assert_eq!(executor["kind"], "slurm");
        assert_eq!(executor["host"], "here");
        assert_eq!(executor["node"], "localhost");
        assert!(
            executor["slurm_job"]
                .as_str()
                .unwrap()
                .starts_with(|c: char| c.is_ascii_digit())
        );
    }
    // Two halves of the node at once: each has a GPU of its own.
    let gpu = |row: &Value| row["executor"]["gpus"].as_str().unwrap().to_owned();
    assert_ne!(gpu(searched[0]), gpu(searched[1]));
    assert_eq!(laptop.guest_jobs(), 0);
    assert_eq!(cluster.queue(), "");
    report(&format!(
        "slurm: {} rows through a real cluster",
        rows.len()
    ));
}

fn a_capture_runs_on_a_node(cluster: &Cluster) {
    let laptop = laptop(cluster);
    measured(&laptop, "sglang", &json!({"kind": "slurm"}));
    let request = json!({"capture": {"framework": "sglang"}, "wait_s": 120});
    let record = profile(&laptop, &request);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(
        places(&laptop, &record, "sglang"),
        ["graphs-on/prefill", "graphs-on/decode"]
    );
    wait_for("Slurm to be done", || cluster.queue().is_empty());
    assert_eq!(laptop.guest_jobs(), 0);
}

fn a_queued_job_is_cancelled(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let blocker = cluster.ask(
        "sbatch",
        &[
            "--parsable",
            "--exclusive",
            "--output=/dev/null",
            "--wrap=sleep 300",
        ],
    );
    let id = laptop.start(&one(&laptop, &json!({"kind": "slurm"})));
    laptop.wait_for_message(&id, "PENDING (Resources)");
    assert_eq!(laptop.status(&id)["state"], "queued");
    assert!(cluster.queue().contains(&format!("sota-loop:{id}")));
    assert!(laptop.bench(&["--job", &id, "--cancel"]).status.success());
    assert_eq!(laptop.status(&id)["state"], "cancelled");
    assert!(!cluster.queue().contains("sota-loop"));
    cluster.ask("scancel", &[blocker.trim()]);
    wait_for("the node to be free", || cluster.queue().is_empty());
}

fn a_running_job_is_cancelled(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let id = laptop.start(&slow(one(&laptop, &json!({"kind": "slurm"})), 8));
    wait_for("an engine", || !laptop.home.engines().is_empty());
    assert!(laptop.bench(&["--job", &id, "--cancel"]).status.success());
    assert_eq!(laptop.status(&id)["state"], "cancelled");
    assert!(laptop.home.engines().is_empty());
    wait_for("the node to be free", || cluster.queue().is_empty());
}

fn a_job_that_slurm_ends_says_so(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let plan = slow(one(&laptop, &json!({"kind": "slurm"})), 5);
    let id = laptop.start(&plan);
    wait_for("an engine", || !laptop.home.engines().is_empty());
    cluster.ask("scancel", &[&format!("--name=sota-loop:{id}")]);
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "failed", "{record:#}");
    assert_eq!(record["failure"]["error"], "task_lost");
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("task measure was cancelled there"),
        "{message}"
    );
    wait_for("the engines to be gone", || {
        laptop.home.engines().is_empty()
    });
}

fn what_slurm_refuses_is_told(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let record = laptop.run(&one(
        &laptop,
        &json!({"kind": "slurm", "partition": "h100"}),
    ));
    assert_eq!(record["state"], "failed");
    let failure = &record["failure"];
    assert_eq!(failure["error"], "host_unusable");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("`sbatch` refuses"), "{message}");
    assert!(message.contains("invalid partition"), "{message}");
    assert!(
        failure["evidence"][0]
            .as_str()
            .unwrap()
            .contains("--partition=h100")
    );
}

fn a_closed_laptop_loses_nothing(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let id = laptop.start(&slow(one(&laptop, &json!({"kind": "slurm"})), 3));
    wait_for("an engine", || !laptop.home.engines().is_empty());
    laptop.close(&id);
    wait_for("Slurm to be done", || cluster.queue().is_empty());
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home).len(), 3);
}

fn a_node_that_dies_is_told_and_the_plan_resumes(cluster: &Cluster) {
    let laptop = laptop(cluster);
    let plan = slow(one(&laptop, &json!({"kind": "slurm"})), 4);
    let id = laptop.start(&plan);
    laptop.wait_for_a_row();
    cluster.kill_node();
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "failed", "{record:#}");
    assert_eq!(record["failure"]["error"], "task_lost");
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(message.contains("NODE_FAIL"), "{message}");
    assert!(message.contains("on localhost"), "{message}");
    cluster.start_node();
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home).len(), 4);
    wait_for("the engines to be gone", || {
        laptop.home.engines().is_empty()
    });
}
