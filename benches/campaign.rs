//! What a long campaign costs: `status` on a log of 10,000 events, and one
//! append with its syncs.
//!
//! `cargo bench --bench campaign` prints both medians. The log of `status`
//! holds gap decisions, checks and ledger entries as real ones are sized; the
//! appends go to a log of their own in `target/`, on a real disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sota_loop::campaign::events::EventKind;
use sota_loop::campaign::{
    self, Campaign, EventLog, HardwareRequest, NewEvent, OpenRequest, status_of,
};

const EVENTS: usize = 10_000;
const RUNS: usize = 15;
const APPENDS: usize = 200;

fn main() {
    let memory = Path::new("/dev/shm");
    let quick = tempfile::tempdir_in(if memory.is_dir() {
        memory
    } else {
        Path::new(".")
    });
    let quick = quick.expect("a folder for the log");
    let (campaign, log) = long_campaign(quick.path());
    let bytes = std::fs::metadata(log.path()).map_or(0, |meta| meta.len());
    let mut read: Vec<Duration> = Vec::new();
    let mut whole: Vec<Duration> = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let events = log.read().expect("the log is whole");
        let state = campaign::State::fold(log.path(), &events).expect("every body is known");
        read.push(started.elapsed());
        let status = status_of(&campaign, &state);
        whole.push(started.elapsed());
        assert_eq!(status.events as usize, EVENTS);
    }
    println!(
        "status on {EVENTS} events ({:.1} MB): {:.1} ms, of which reading and folding {:.1} ms",
        bytes as f64 / 1e6,
        median(&mut whole),
        median(&mut read),
    );
    let disk = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let disk = tempfile::tempdir_in(disk).expect("a folder on disk");
    let log = EventLog::at(&disk.path().join("humanize/lineage.jsonl"))
        .with_state_dir(&disk.path().join("state"));
    let mut appends: Vec<Duration> = Vec::new();
    for index in 0..APPENDS {
        let event = entry(index);
        let started = Instant::now();
        log.append(event).expect("the disk takes it");
        appends.push(started.elapsed());
    }
    println!(
        "append with its syncs, {APPENDS} times: median {:.2} ms",
        median(&mut appends)
    );
}

fn long_campaign(dir: &Path) -> (Campaign, EventLog) {
    let request = OpenRequest {
        model: Some("Qwen/Qwen3-8B".to_owned()),
        precision: Some("bf16".to_owned()),
        hardware: Some(HardwareRequest {
            gpu_model: Some("none".to_owned()),
            gpu_ids: Vec::new(),
        }),
        ..OpenRequest::default()
    };
    let campaign = campaign::open(dir, request).expect("a campaign").campaign;
    // Its head lies beside it, so that a disk does not set the pace.
    let log = campaign.log().with_state_dir(&dir.join("state"));
    let opened = log.read().expect("the log is whole").len();
    for index in opened..EVENTS - 1 {
        log.append(entry(index)).expect("memory takes it");
    }
    // The user's state folder did not know the log: that was one event more.
    (campaign, log)
}

fn entry(index: usize) -> NewEvent {
    let (kind, body) = match index % 4 {
        0 => (EventKind::GapChecked, gap()),
        1 => (EventKind::RejectedIdea, idea()),
        2 => (EventKind::ChecksRan, checks()),
        _ => (EventKind::RoundEnded, round()),
    };
    NewEvent {
        kind,
        round: Some(index as u32 / 40),
        commit: Some("c".repeat(40)),
        tree: Some("1".repeat(40)),
        body,
        files: Vec::new(),
    }
}

fn gap() -> Value {
    let side = |framework: &str| {
        json!({"framework": framework, "candidate_id": "base", "mean": 5.0, "repeats": 3,
            "launches": 3, "sla_passed": true})
    };
    json!({"job_id": "bench-20261124083014-2c10b9", "label": "revalidation",
        "target_tree": "1".repeat(40), "tree_verified": true,
        "record": {"target": "sglang", "metric": "request_throughput", "better": "higher",
            "scenarios": [{"scenario": "chat", "verdict": "behind", "reason": "the upper bound is below", "n": 3,
                "gap_pct": -5.1, "ci_pct": [-5.6, -4.6], "bootstrap_ci_pct": [-5.5, -4.7], "not_behind": false,
                "target": side("sglang"), "leader": side("vllm"), "pairs": [],
                "others": [{"framework": "vllm", "candidate_id": "base", "mean": 5.3, "sla_passed": true, "gap_pct": -5.1}],
                "attribution": [{"cause": "decode_step", "seconds": 3.2, "share_pct": 91.0, "evidence": "7.1 ms against 6.6 ms at batch 16"}]}],
            "geomean_gap_pct": -5.1, "decision": "patch", "decision_reason": "sglang is behind in chat",
            "plateau": {"rounds": 3, "weak_rounds": 0, "reached": false}, "next": "profile", "warnings": []}})
}

fn idea() -> Value {
    json!({"claim": "a faster GEMM", "reason": "both engines run the same kernel",
        "evidence": [{"event": 14, "table": "kernel", "part": "decode", "row": "nvjet_gemm"}]})
}

fn checks() -> Value {
    json!({"job_id": "checks-20261124083014-2c10b9", "attempt": "a1", "passed": true,
        "tests": [{"command": {"argv": ["python", "-m", "pytest", "test/srt/test_layernorm.py"], "exit": 0,
            "log": "/campaign/jobs/checks/test-1.log", "log_sha256": "0".repeat(64)}, "passed": true, "seconds": 31}],
        "greedy": {"base_tree": "1".repeat(40), "prompts": 32, "identical": 31, "matched_share": 0.99,
            "min_matched_share": 0.9, "passed": true}})
}

fn round() -> Value {
    json!({"summary": "fused RMSNorm: one kernel less a layer", "next_patch": "fuse QK norm and RoPE",
        "accepted": ["a1"], "improvement_pct": 2.1, "gap_pct": -3.0})
}

/// In milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}
