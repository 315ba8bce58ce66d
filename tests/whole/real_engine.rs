//! A real engine that nobody here wrote, as two candidates of one framework:
//! llama.cpp's server, found through `LLAMA_SERVER` and `LLAMA_MODEL`.

use serde_json::json;

use crate::plans::rows;
use crate::support::Home;

#[test]
fn llama_server_with_one_slot_and_with_eight() {
    let (Ok(server), Ok(model)) = (std::env::var("LLAMA_SERVER"), std::env::var("LLAMA_MODEL"))
    else {
        eprintln!("real engine: not run: set LLAMA_SERVER and LLAMA_MODEL");
        return;
    };
    let home = Home::new();
    let plan = json!({
        "model": {"name": "tiny", "path": model, "vocab_size": 4096},
        "dataset": {"num_prompts": 16, "scenario_names": ["chat"], "input_len": [48], "output_len": [32]},
        "benchmark": {"max_concurrency": [8]},
        "warmup": {"requests": 4},
        "search": {"repeats": 2, "output_dir": "out"},
        "timeouts": {"ready_s": 60, "run_s": 120, "stop_s": 5},
        "frameworks": {"llama": {
            "engine": "openai",
            "command": [server, "-m", "{model}", "--alias", "tiny", "--host", "{host}", "--port", "{port}",
                        "-c", "16384", "-t", "1", "--metrics", "--no-webui"],
            "base_server_flags": {"parallel": 1},
            "search_space": {"parallel": [8]},
        }},
    });
    let record = home
        .call(
            "run_benchmark",
            &json!({"plan": plan, "wait_s": 120, "detail": "full"}),
        )
        .unwrap();
    assert_eq!(record["state"], "done", "{record:#}");
    let rows = rows(&home);
    let seen: Vec<String> = rows
        .iter()
        .map(|row| {
            assert_eq!(row["status"], "ok", "{row:#}");
            format!(
                "{} {}",
                row["phase"].as_str().unwrap(),
                row["candidate_id"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(seen[..2], ["search base", "search parallel=8"]);
    assert!(
        seen[2..].iter().all(|row| row.starts_with("measure")),
        "{seen:?}"
    );
    for row in &rows {
        // Token-id prompts and ignore_eos make both lengths exact.
        assert_eq!(row["workload"]["input_len_p50"], 48.0);
        assert_eq!(row["workload"]["output_len_p50"], 32.0);
        assert_eq!(row["metrics"]["success_rate"], 1.0);
        assert_eq!(row["server_generation_tokens_delta"], 16.0 * 32.0);
        // The engine drops connections that it promised to keep.
        let connections = &row["extras"]["connections"];
        let dropped = connections["stale_retries"].as_u64().unwrap()
            + connections["not_kept"].as_u64().unwrap();
        assert!(dropped > 0, "{connections}");
    }
    println!("real engine: {} rows on llama-server", rows.len());
}
