//! A record is read in one go: about 2,000 tokens by default, also on the
//! largest real recordings.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::Home;

/// Of these records, about three bytes make a token.
const MOST_BYTES: usize = 6_600;

/// The folder of large recordings, or a word on why nothing is tested.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("SOTA_TEST_DATA").map(PathBuf::from);
    if data.is_none() {
        eprintln!("not run: set SOTA_TEST_DATA");
    }
    data
}

fn assert_short(home: &Home, tool: &str, arguments: &Value) {
    let record = home.call(tool, arguments).unwrap().to_string();
    let length = record.len();
    assert!(length <= MOST_BYTES, "{tool} {arguments}: {length} bytes");
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
