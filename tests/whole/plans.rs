//! Small plans on simulated engines.

use serde_json::{Value, json};

use crate::support::{BINARY, Home};

/// A simulated engine's command with this home's mark.
pub fn sim(home: &Home, dialect: &str, extra: &[&str]) -> Value {
    let mark = home.mark();
    let mut command = vec![
        BINARY,
        "sim",
        "--dialect",
        dialect,
        "--host",
        "{host}",
        "--port",
        "{port}",
        "--model",
        "{model}",
        "--revision",
        &mark,
        "--load-s",
        "0",
        "--prefill-tokens-per-s",
        "1000000",
        "--decode-base-ms",
        "1",
        "--decode-per-sequence-ms",
        "0",
        "--decode-per-1k-context-ms",
        "0",
    ];
    command.extend(extra);
    json!(command)
}

/// One scenario of a few short requests, one repeat, no warm-up.
pub fn plan(frameworks: Value) -> Value {
    json!({
        "model": {"name": "sim-8b"},
        "dataset": {"num_prompts": 6, "scenario_names": ["chat"], "input_len": [32], "output_len": [16]},
        "warmup": {"requests": 0},
        "search": {"repeats": 1, "output_dir": "out"},
        "timeouts": {"ready_s": 30, "run_s": 30, "stop_s": 2},
        "frameworks": frameworks,
    })
}

/// Starts the plan and waits for its end.
pub fn run(home: &Home, plan: &Value) -> Value {
    home.call(
        "run_benchmark",
        &json!({"plan": plan, "wait_s": 60, "detail": "full"}),
    )
    .unwrap()
}

/// Every row of the workspace's `out` folder.
pub fn rows(home: &Home) -> Vec<Value> {
    crate::support::read(home.workspace().join("out/candidates.jsonl"))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
