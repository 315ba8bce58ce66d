//! Jobs over a real ssh.

use serde_json::{Value, json};

use crate::captures::checkout;
use crate::home::{Laptop, SSH_NEEDS, have, kill, report, slow, with_executor};
use crate::plans::{plan, rows, sim};
use crate::sshd::Sshd;
use crate::support::{is_alive, processes, read, wait_for};

fn begin() -> Option<(Laptop, Sshd)> {
    if !have(&SSH_NEEDS) {
        return None;
    }
    let mut laptop = Laptop::new();
    let sshd = Sshd::start(&mut laptop);
    Some((laptop, sshd))
}

fn two(laptop: &Laptop, host: &str) -> Value {
    let frameworks = json!({
        "sglang": {"command": sim(&laptop.home, "sglang", &[])},
        "vllm": {"command": sim(&laptop.home, "vllm", &[])},
    });
    with_executor(plan(frameworks), &json!({"kind": "ssh", "host": host}))
}

#[test]
fn a_job_runs_there_and_its_folder_comes_back() {
    let Some((mut laptop, _sshd)) = begin() else {
        return;
    };
    laptop.set("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz");
    let mut plan = two(&laptop, "here");
    plan["search"]["repeats"] = json!(2);
    plan["frameworks"]["vllm"]["env_from"] = json!(["HF_TOKEN"]);
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let rows = rows(&laptop.home);
    assert_eq!(rows.len(), 4);
    for row in &rows {
        assert_eq!(row["status"], "ok", "{row:#}");
        assert_eq!(row["job_id"], record["job_id"]);
        assert_eq!(row["executor"]["kind"], "ssh");
        assert_eq!(row["executor"]["host"], "here");
        assert!(!row["executor"]["node"].as_str().unwrap().is_empty());
        for artifact in ["server_log", "raw_result"] {
            let path = row["artifacts"][artifact].as_str().unwrap();
            assert!(path.starts_with(laptop.home.workspace().to_str().unwrap()));
            assert!(std::path::Path::new(path).is_file(), "{path}");
        }
    }
    assert_eq!(record["winners"].as_array().unwrap().len(), 1);
    assert!(read(laptop.home.workspace().join("out/summary.md")).contains("4 rows"));
    // Verified here, so that nothing stays there but the program.
    assert_eq!(laptop.guest_jobs(), 0);
    assert!(processes(&laptop.home.mark()).is_empty());
    // The same plan is the same job, and is not run again.
    assert_eq!(laptop.run(&plan)["job_id"], record["job_id"]);
    report(&format!("ssh: {} rows through a real sshd", rows.len()));
}

#[test]
fn new_sources_there_are_a_new_job() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let there = laptop.host.join("src/sglang");
    let (_, tree) = checkout(&there, "one");
    let mut plan = two(&laptop, "here");
    plan["frameworks"]["sglang"]["source"] = json!({"checkout": there, "verify": false});
    let first = laptop.run(&plan);
    assert_eq!(first["state"], "done", "{first:#}");
    let source = rows(&laptop.home)[0]["source"].clone();
    assert_eq!(source["tree"], json!(tree), "{source:#}");
    assert_eq!(laptop.run(&plan)["job_id"], first["job_id"]);
    let (_, second) = checkout(&there, "two");
    assert_ne!(laptop.run(&plan)["job_id"], first["job_id"]);
    let rows = rows(&laptop.home);
    assert_eq!(rows.last().unwrap()["status"], "ok");
    let trees = rows
        .iter()
        .filter(|row| row["source"]["tree"] == json!(second));
    assert_eq!(trees.count(), 1);
    plan["frameworks"]["sglang"]["source"]["checkout"] = json!(laptop.host);
    let path = laptop.home.write("plan.json", &plan.to_string());
    let output = laptop.bench(&[path.to_str().unwrap()]);
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"], "invalid_plan", "{error:#}");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("on here: the checkout"), "{message}");
}

#[test]
fn a_laptop_that_is_closed_loses_nothing() {
    let Some((laptop, sshd)) = begin() else {
        return;
    };
    let id = laptop.start(&slow(two(&laptop, "here"), 3));
    wait_for("an engine", || !laptop.home.engines().is_empty());
    laptop.close(&id);
    sshd.cut();
    // The host works on alone.
    let status = laptop
        .host
        .join("state/guest-jobs")
        .join(&id)
        .join("all/status.json");
    wait_for("the host to end", || read(&status).contains("\"done\": 6"));
    sshd.listen();
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home).len(), 6);
    assert_eq!(laptop.guest_jobs(), 0);
}

#[test]
fn a_lost_connection_is_taken_up_again() {
    let Some((laptop, sshd)) = begin() else {
        return;
    };
    let id = laptop.start(&slow(two(&laptop, "here"), 3));
    wait_for("an engine", || !laptop.home.engines().is_empty());
    sshd.cut();
    laptop.wait_for_message(&id, "the job goes on there, trying again");
    sshd.listen();
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home).len(), 6);
}

#[test]
fn a_cancelled_job_leaves_no_process_there() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let plan = slow(two(&laptop, "here"), 8);
    let id = laptop.start(&plan);
    laptop.wait_for_a_row();
    let output = laptop.bench(&["--job", &id, "--cancel"]);
    assert!(output.status.success());
    assert_eq!(laptop.status(&id)["state"], "cancelled");
    assert!(processes(&laptop.home.mark()).is_empty());
    let before = rows(&laptop.home).len();
    // Finished rows stay, here and there, for the next time.
    assert!(before >= 1);
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home).len(), 16);
}

#[test]
fn a_job_out_of_reach_is_cancelled_once_its_host_is_back() {
    let Some((laptop, sshd)) = begin() else {
        return;
    };
    let mut plan = slow(two(&laptop, "here"), 10);
    plan["dataset"]["output_len"] = json!([4000]);
    let id = laptop.start(&plan);
    wait_for("an engine", || !laptop.home.engines().is_empty());
    sshd.cut();
    laptop.wait_for_message(&id, "trying again");
    let output = laptop.bench(&["--job", &id, "--cancel"]);
    assert!(!output.status.success());
    let status = laptop.status(&id);
    assert_eq!(status["fault"]["error"], "host_unreachable", "{status:#}");
    assert!(!laptop.home.engines().is_empty());
    sshd.listen();
    assert!(laptop.bench(&["--job", &id, "--cancel"]).status.success());
    assert_eq!(laptop.status(&id)["state"], "cancelled");
    assert!(processes(&laptop.home.mark()).is_empty());
}

#[test]
fn a_supervisor_that_dies_there_takes_its_engines_with_it() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let plan = slow(two(&laptop, "here"), 6);
    let id = laptop.start(&plan);
    wait_for("an engine", || !laptop.home.engines().is_empty());
    let status = laptop
        .host
        .join("state/guest-jobs")
        .join(&id)
        .join("all/status.json");
    let status: Value = serde_json::from_str(&read(status)).unwrap();
    let pid = status["pid"].as_u64().unwrap() as u32;
    kill(pid, "KILL");
    let record = laptop.follow(&id);
    assert_eq!(record["state"], "failed");
    assert_eq!(record["failure"]["error"], "task_lost");
    assert!(
        record["failure"]["message"]
            .as_str()
            .unwrap()
            .contains("its supervisor died")
    );
    assert!(!is_alive(pid));
    wait_for("the engines to be gone", || {
        laptop.home.engines().is_empty()
    });
    assert_eq!(laptop.run(&plan)["state"], "done");
    assert_eq!(rows(&laptop.home).len(), 12);
}

#[test]
fn hosts_that_cannot_be_used_say_why() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let failure = |host: &str| {
        let record = laptop.run(&two(&laptop, host));
        assert_eq!(record["state"], "failed", "{record:#}");
        record["failure"].clone()
    };
    let says = |failure: &Value, code: &str, words: &[&str]| {
        assert_eq!(failure["error"], code, "{failure:#}");
        let message = failure["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    };
    let nobody = failure("nobody");
    says(
        &nobody,
        "host_unreachable",
        &["nobody cannot be reached", "Connection refused"],
    );
    assert_eq!(nobody["retryable"], true);
    says(
        &failure("stranger"),
        "host_unreachable",
        &["stranger refuses every key", "Permission denied"],
    );
    says(
        &failure("barred"),
        "host_unusable",
        &[
            "/proc/version/sota-loop/bin",
            "on barred",
            "Not a directory",
        ],
    );
    let full = laptop.host.join("full");
    std::fs::create_dir(&full).unwrap();
    let small = Mount::tmpfs(&full, "1m");
    says(
        &failure("full"),
        "host_unusable",
        &["on full", "No space left on device"],
    );
    let left = std::fs::read_dir(full.join("sota-loop/bin"))
        .unwrap()
        .count();
    assert_eq!(left, 0);
    drop(small);
}

#[test]
fn a_program_for_another_machine_is_not_copied() {
    let Some((mut laptop, _sshd)) = begin() else {
        return;
    };
    let mut foreign = std::fs::read(crate::support::BINARY).unwrap()[..4096].to_vec();
    // e_machine of the ELF header: s390x.
    foreign[18] = 0x16;
    foreign[19] = 0;
    let path = laptop.host.join("foreign");
    std::fs::write(&path, foreign).unwrap();
    laptop.set("SOTA_LOOP_REMOTE_BINARY", &path);
    let record = laptop.run(&two(&laptop, "here"));
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(
        message.contains("built for Linux s390x, but here is Linux"),
        "{message}"
    );
    assert!(!laptop.host.join("cache/sota-loop").exists());
    // One that only looks right does not run, which is found before the job.
    let mut broken = std::fs::read(crate::support::BINARY).unwrap()[..4096].to_vec();
    broken.truncate(2000);
    std::fs::write(&path, broken).unwrap();
    let record = laptop.run(&two(&laptop, "here"));
    let message = record["failure"]["message"].as_str().unwrap();
    assert!(message.contains("does not run on here"), "{message}");
}

#[test]
fn prompts_of_this_computer_are_copied() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let prompts = r#"{"prompt": [5, 6, 7], "output_len": 4}"#;
    let path = laptop
        .home
        .write("prompts.jsonl", &format!("{prompts}\n").repeat(3));
    let mut plan = two(&laptop, "here");
    plan["dataset"] = json!({"kind": "jsonl", "path": path, "num_prompts": 3, "scenario_names": ["mine"], "input_len": [3], "output_len": [4]});
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    let copied = rows(&laptop.home)[0]["workload"]["dataset_path"].clone();
    assert_eq!(read(copied.as_str().unwrap()), read(path));
}

#[test]
fn names_are_data_on_the_way_there() {
    let Some((laptop, _sshd)) = begin() else {
        return;
    };
    let mut plan = two(&laptop, "here");
    let marked = laptop.host.join("pwned");
    plan["model"]["name"] = json!(format!("m'; touch {} #$(id)`id`", marked.display()));
    let record = laptop.run(&plan);
    assert_eq!(record["state"], "done", "{record:#}");
    assert_eq!(rows(&laptop.home)[0]["model"], plan["model"]["name"]);
    assert!(!marked.exists());
}

/// A small file system, gone after the test.
struct Mount(std::path::PathBuf);

impl Mount {
    fn tmpfs(at: &std::path::Path, size: &str) -> Self {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        assert!(mounted.unwrap().success());
        Self(at.to_path_buf())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
