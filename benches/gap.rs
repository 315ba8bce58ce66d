//! Time of one gap check on 10,000 rows, reading included: `cargo bench --bench gap`.
//!
//! Judged by CPU time, which other work on the machine changes less than wall time.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sota_loop::gap::{GapRequest, check, read_rows};

const CANDIDATES: usize = 5;
const LOADS: usize = 100;
const REPEATS: usize = 10;
const FRAMEWORKS: [&str; 2] = ["sglang", "vllm"];
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("candidates.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    let mut rows = 0;
    for framework in FRAMEWORKS {
        for candidate in 0..CANDIDATES {
            for load in 0..LOADS {
                for repeat in 0..REPEATS {
                    writeln!(file, "{}", row(framework, candidate, load, repeat))?;
                    rows += 1;
                }
            }
        }
    }
    file.flush()?;
    drop(file);
    let bytes = std::fs::metadata(&path)?.len();
    let mut runs: Vec<Run> = (0..20)
        .map(|_| Run::of(&path))
        .collect::<Result<_, Box<dyn Error>>>()?;
    runs.sort_by_key(|run| run.cpu);
    let median = &runs[runs.len() / 2];
    println!(
        "check_gap: {rows} rows, {:.1} MB: {:.1?} of CPU at the median ({:.1?} of it reading), wall \
         {:.1?}, limit {LIMIT:?}: {}",
        bytes as f64 / 1e6,
        median.cpu,
        median.reading,
        median.wall,
        if median.cpu < LIMIT { "ok" } else { "TOO SLOW" }
    );
    Ok(())
}

struct Run {
    cpu: Duration,
    reading: Duration,
    wall: Duration,
}

impl Run {
    fn of(path: &Path) -> Result<Self, Box<dyn Error>> {
        let (wall, cpu) = (Instant::now(), thread_cpu()?);
        let read = read_rows(path)?;
        let reading = thread_cpu()? - cpu;
        let record = check(&GapRequest::new("sglang"), &read)?;
        assert_eq!(record.scenarios.len(), LOADS);
        Ok(Self {
            cpu: thread_cpu()? - cpu,
            reading,
            wall: wall.elapsed(),
        })
    }
}

fn thread_cpu() -> Result<Duration, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// A row with every key of the layout, as run_benchmark writes it.
fn row(framework: &str, candidate: usize, load: usize, repeat: usize) -> serde_json::Value {
    let value = 5.0 + 0.01 * ((candidate * 7 + load * 3 + repeat * 5) % 11) as f64;
    let latency = |factor: f64| serde_json::json!(factor / value);
    serde_json::json!({
        "framework": framework, "framework_version": "0.5.15", "framework_commit": "1ad29a4",
        "candidate_id": format!("c{candidate}"), "model": "qwen3-8b", "status": "ok",
        "failure_reason": null, "repeat": repeat,
        "hardware": {"gpu_model": "NVIDIA H100 80GB HBM3", "gpu_count": 1, "visible_devices": "0"},
        "workload": {"kind": "random", "scenario": "chat", "dataset_path": null, "input_len": 1000,
            "output_len": 1000, "input_len_p50": 1000.0, "input_len_p95": 1000.0,
            "output_len_p50": 1000.0, "output_len_p95": 1000.0, "num_prompts": 80,
            "request_rate": load + 1, "max_concurrency": null, "endpoint": "/v1/completions"},
        "sla": {"max_p50_ttft_ms": 20000, "max_p50_tpot_ms": 80, "min_success_rate": 0.99, "passed": true},
        "metrics": {"request_throughput": value, "output_token_throughput": value * 1000.0,
            "total_token_throughput": value * 2000.0,
            "p50_ttft_ms": latency(2000.0), "mean_ttft_ms": latency(2100.0), "p99_ttft_ms": latency(4000.0),
            "p50_tpot_ms": latency(60.0), "mean_tpot_ms": latency(61.0), "p99_tpot_ms": latency(80.0),
            "p50_e2e_ms": latency(60000.0), "mean_e2e_ms": latency(61000.0), "p99_e2e_ms": latency(80000.0),
            "success_rate": 1.0},
        "spec_decode": {"enabled": false, "algorithm": null}, "phase_metrics": {"queue_ms": 3.0},
        "cache": {"prefix_cache_enabled": false, "kv_cache_tokens": 370553},
        "memory": {"gpu_memory_utilization": 0.82},
        "normalization": {"same_gpu_count": true, "same_model_weights": true, "same_tokenizer": true,
            "same_endpoint": true, "notes": ""},
        "server_command": "python3 -m sglang.launch_server --model-path /models/qwen3-8b \
            --served-model-name qwen3-8b --port 30000 --context-length 10240 \
            --mem-fraction-static 0.82 --disable-radix-cache",
        "benchmark_command": "sota-loop bench plan.yaml",
        "validated_cli_flags": {"server": ["--mem-fraction-static", "--disable-radix-cache"], "benchmark": []},
        "artifacts": {"server_log": "server.log", "raw_result": "raw.json"}
    })
}
