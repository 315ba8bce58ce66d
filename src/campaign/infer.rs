//! What a campaign can know without asking: the model's config and the GPUs.

use std::path::Path;

use serde_json::Value;

use crate::launch;

/// Facts of a local model folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelFacts {
    pub precision: Option<String>,
    pub quantization: Option<String>,
    pub max_context: Option<u32>,
    pub has_tokenizer: bool,
}

/// Reads `config.json` of a model folder; nothing is known of a hub id.
pub fn model_facts(model: &str) -> ModelFacts {
    let folder = Path::new(model);
    let Some(config) = std::fs::read(folder.join("config.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
    else {
        return ModelFacts::default();
    };
    let text = config.get("text_config").unwrap_or(&config);
    let find = |key: &str| config.get(key).or_else(|| text.get(key));
    let quantization = find("quantization_config")
        .and_then(|quantization| quantization.get("quant_method"))
        .and_then(Value::as_str)
        .unwrap_or("none");
    ModelFacts {
        precision: find("dtype")
            .or_else(|| find("torch_dtype"))
            .and_then(Value::as_str)
            .map(short_precision),
        quantization: Some(quantization.to_owned()),
        max_context: find("max_position_embeddings")
            .and_then(Value::as_u64)
            .and_then(|length| u32::try_from(length).ok()),
        has_tokenizer: ["tokenizer.json", "tokenizer_config.json", "tokenizer.model"]
            .iter()
            .any(|name| folder.join(name).is_file()),
    }
}

fn short_precision(dtype: &str) -> String {
    match dtype {
        "bfloat16" => "bf16",
        "float16" => "fp16",
        "float32" => "fp32",
        other => other,
    }
    .to_owned()
}

/// Name of the given GPUs (all of one kind), and how many this host has.
pub fn gpus(ids: &[u32]) -> Option<(String, Vec<u32>)> {
    let wanted: Vec<u32> = if ids.is_empty() {
        (0..64).take_while(|index| is_there(*index)).collect()
    } else {
        ids.to_vec()
    };
    let found = launch::resolve(&wanted).ok()?;
    let name = found.first()?.name.clone()?;
    Some((name, wanted))
}

fn is_there(index: u32) -> bool {
    launch::resolve(&[index]).is_ok_and(|found| found.iter().all(|gpu| gpu.uuid.is_some()))
}
