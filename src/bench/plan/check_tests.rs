//! Plans that are refused before anything is launched.

use serde_json::{Value, json};

use super::from_value;

/// The refusal of a plan with these parts.
fn refused(parts: Value) -> String {
    let mut plan = json!({
        "model": {"name": "m"},
        "dataset": {},
        "frameworks": {"sglang": {}},
    });
    for (part, value) in parts.as_object().unwrap() {
        plan[part] = value.clone();
    }
    from_value(&plan).unwrap_err().to_string()
}

#[test]
fn lengths_do_not_wrap_around() {
    let told = refused(json!({
        "model": {"name": "m", "max_context": 1000},
        "dataset": {"num_prompts": 1, "input_len": [4_294_967_295_u32], "output_len": [64]},
    }));
    assert!(told.contains("input_len"), "{told}");
    let told = refused(json!({
        "model": {"name": "m", "max_context": 1000},
        "dataset": {"num_prompts": 1, "input_len": [100_000_000], "output_len": [4_294_967_295_u32]},
    }));
    assert!(told.contains("4394967295 tokens"), "{told}");
}

#[test]
fn prompts_fit_into_memory() {
    let told = refused(json!({"dataset": {"num_prompts": 100_000_000}}));
    assert!(told.contains("dataset.num_prompts"), "{told}");
    assert!(told.contains("prompt tokens a run"), "{told}");
}

#[test]
fn a_load_stands_once() {
    let told = refused(json!({"benchmark": {"request_rates": [8, 8]}}));
    assert!(told.contains("the same rate and cap twice"), "{told}");
    let told = refused(json!({"benchmark": {"max_concurrency": [null, null]}}));
    assert!(told.contains("the same rate and cap twice"), "{told}");
}

#[test]
fn a_map_in_the_place_of_a_number_is_said_so() {
    let told = refused(json!({"dataset": {"input_len": [{"min": 100, "max": 500}]}}));
    assert!(
        told.contains("expected one value, no list or map"),
        "{told}"
    );
}
