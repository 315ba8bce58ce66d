//! What a benchmark plan already says about the campaign that will use it.

use serde_json::json;

use super::{HardwareRequest, OpenRequest};
use crate::bench::plan::{Plan, Sla};

/// The request with what it leaves out taken from the plan.
#[must_use]
pub fn from_plan(mut request: OpenRequest, plan: &Plan) -> OpenRequest {
    let model = &plan.model;
    request.model.get_or_insert_with(|| model.path().to_owned());
    request.tokenizer = request.tokenizer.or_else(|| model.tokenizer.clone());
    request.precision = request.precision.or_else(|| model.precision.clone());
    request.quantization = request.quantization.or_else(|| model.quantization.clone());
    request.max_context = request.max_context.or(model.max_context);
    if model.trust_remote_code {
        request.trust_remote_code.get_or_insert(true);
    }
    let hardware = &plan.hardware;
    if hardware.gpu_model.is_some() || !hardware.gpu_ids.is_empty() {
        request.hardware.get_or_insert_with(|| HardwareRequest {
            gpu_model: hardware.gpu_model.clone(),
            gpu_ids: hardware.gpu_ids.clone(),
        });
    }
    if plan.sla != Sla::default() {
        request.sla.get_or_insert_with(|| json!(plan.sla));
    }
    let target = request
        .target_framework
        .get_or_insert_with(|| "sglang".to_owned())
        .clone();
    let enabled = plan.enabled().map(|(name, _)| name.clone());
    let others: Vec<String> = enabled.filter(|name| *name != target).collect();
    if !others.is_empty() {
        request.comparison_frameworks.get_or_insert(others);
    }
    let source = plan
        .frameworks
        .get(&target)
        .and_then(|framework| framework.source.as_ref());
    if let Some(source) = source {
        request
            .checkout
            .get_or_insert_with(|| source.checkout.clone());
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan;

    fn plan() -> Plan {
        let value = json!({
            "model": {"name": "qwen3-8b", "path": "/models/qwen3-8b", "precision": "bf16", "quantization": "none"},
            "hardware": {"gpu_model": "NVIDIA H100 80GB HBM3", "gpu_ids": [0]},
            "dataset": {"num_prompts": 8, "scenario_names": ["chat"], "input_len": [100], "output_len": [100]},
            "sla": {"max_p50_ttft_ms": 20000},
            "frameworks": {
                "sglang": {"source": {"checkout": "/src/sglang", "python": "/src/sglang/.venv/bin/python"}},
                "vllm": {},
                "tokenspeed": {"enabled": false},
            },
        });
        plan::from_value(&value).unwrap()
    }

    #[test]
    fn a_plan_answers_what_open_would_ask() {
        let request = from_plan(OpenRequest::default(), &plan());
        assert_eq!(request.model.as_deref(), Some("/models/qwen3-8b"));
        assert_eq!(request.precision.as_deref(), Some("bf16"));
        let hardware = request.hardware.unwrap();
        assert_eq!(
            (hardware.gpu_model.as_deref(), &hardware.gpu_ids[..]),
            (Some("NVIDIA H100 80GB HBM3"), &[0][..])
        );
        assert_eq!(request.comparison_frameworks.unwrap(), ["vllm"]);
        assert_eq!(
            request.checkout.unwrap(),
            std::path::Path::new("/src/sglang")
        );
        assert_eq!(request.sla.unwrap()["max_p50_ttft_ms"], 20000.0);
    }

    #[test]
    fn what_the_call_says_goes_before_the_plan() {
        let asked = OpenRequest {
            precision: Some("fp8".to_owned()),
            ..OpenRequest::default()
        };
        assert_eq!(from_plan(asked, &plan()).precision.as_deref(), Some("fp8"));
    }
}
