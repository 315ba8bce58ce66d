//! A record is read in one go: about 2,000 tokens by default, also on the
//! largest real recordings.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Home;

/// The folder of large recordings, or a word on why nothing is tested.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("SOTA_TEST_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("not run: set SOTA_TEST_DATA");
    }
    data
}

fn assert_short(home: &Home, tool: &str, arguments: &Value) {
    // `call` holds the bound.
    home.call(tool, arguments).unwrap();
}

#[test]
fn records_on_real_traces_are_short() {
    let Some(data) = data() else { return };
    let home = Home::new();
    let traces = data.join("traces");
    let both = json!({
        "input": traces.join("sglang-qwen3-8b"),
        "mapping_input": traces.join("sglang-qwen3-8b-eager/decode"),
        "compare_input": traces.join("vllm-qwen3-8b"),
    });
    assert_short(&home, "profile", &both);
    let eager = json!({"input": traces.join("sglang-qwen3-8b-eager/decode")});
    assert_short(&home, "profile", &eager);
    let layers = json!({
        "trace": traces.join("sglang-qwen3-8b/decode"),
        "config": data.join("models/qwen3-8b"),
        "compare_trace": traces.join("vllm-qwen3-8b/decode"),
    });
    assert_short(&home, "analyze_pipeline", &layers);
}

#[test]
fn records_on_real_kernel_reports_are_short() {
    let Some(data) = data() else { return };
    let home = Home::new();
    for name in ["torch_mix", "transpose_naive", "rmsnorm_scalar"] {
        let report = data.join("ncu").join(name).with_extension("ncu-rep");
        assert_short(&home, "ncu_digest", &json!({"baseline": report}));
    }
    let pair = json!({
        "baseline": data.join("ncu/transpose_naive.ncu-rep"),
        "candidate": data.join("ncu/transpose_tiled.ncu-rep"),
    });
    assert_short(&home, "ncu_digest", &pair);
}

#[test]
fn the_gap_between_real_runs_is_short() {
    let Some(data) = data() else { return };
    let home = Home::new();
    let bench = data.join("bench");
    let mut arguments = vec!["import".to_owned()];
    for (framework, extension) in [("vllm", "json.gz"), ("sglang", "jsonl.gz")] {
        for scenario in ["chat", "summarization"] {
            let file = bench
                .join(framework)
                .join(format!("bench_{scenario}.{extension}"));
            arguments.push(format!("{framework}/{scenario}={}", file.display()));
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert!(home.run(&arguments).status.success());
    let rows = home.workspace().join("imported.jsonl");
    assert_short(
        &home,
        "check_gap",
        &json!({"rows": rows, "target": "sglang"}),
    );
}

/// Three frameworks, four scenarios at five loads, ten repeats.
#[test]
fn the_gap_of_a_large_benchmark_is_short() {
    let home = Home::new();
    let mut rows = String::new();
    for (framework, speed) in [("sglang", 10.0), ("vllm", 10.4), ("trtllm", 10.2)] {
        for (scenario, load) in
            (0..4).flat_map(|scenario| (1..=5).map(move |load| (scenario, load)))
        {
            for repeat in 1..=10 {
                let noise = f64::from((repeat * 7 + load * 3 + scenario) % 5) / 100.0;
                let row = json!({
                    "framework": framework, "candidate_id": "base", "status": "ok", "phase": "measure",
                    "repeat": repeat, "sla": {"passed": true},
                    "workload": {"scenario": format!("scenario-{scenario}"), "request_rate": load},
                    "metrics": {"request_throughput": speed + noise},
                });
                rows.push_str(&format!("{row}\n"));
            }
        }
    }
    let rows = home.write("candidates.jsonl", &rows);
    assert_short(
        &home,
        "check_gap",
        &json!({"rows": rows, "target": "sglang"}),
    );
}

/// Sixty changes that all answer the question.
#[test]
fn a_history_full_of_answers_is_short() {
    let home = Home::new();
    let folder = home.workspace().join("history/sglang/qwen3-core");
    std::fs::create_dir_all(&folder).unwrap();
    let mut text = String::from(
        "# sglang Qwen3 Model PR Optimization History\n\n## Per-PR Diff Audit Cards\n",
    );
    for pr in 1..=60 {
        let title = format!("Fuse the qk norm with rope for the {pr}th kind of attention layer");
        text.push_str(&format!(
            "\n### PR #{pr} - {title}\n\n- Link: https://github.com/sgl-project/sglang/pull/{pr}\n\
             - Status/date: merged / 2025-04-18\n- Motivation: Title: \"{title}\"\n\
             - Key implementation: `python/sglang/srt/models/qwen3.py` modified +335/-0; \
             symbols: Qwen3Attention, fused_qk_norm_rope, _apply_qk_norm\n\
             - Changed files: python/sglang/srt/layers/rotary_embedding.py, python/sglang/srt/models/qwen3.py\n"
        ));
    }
    std::fs::write(folder.join("README.en.md"), text).unwrap();
    let roots = [home.workspace().join("history")];
    let question = json!({"model": "Qwen/Qwen3-8B", "query": "fused qk norm rope", "roots": roots});
    assert_short(&home, "query_history", &question);
    assert!(
        !home.call("query_history", &question).unwrap()["cards"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}
