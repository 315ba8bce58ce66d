//! What a model's `config.json` says about its layers.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::PipelineError;
use crate::disk;

/// More layers than any model has; a larger number is a mistake.
const MOST_LAYERS: u64 = 10_000;

/// The layers that a configuration promises.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelConfig {
    pub path: PathBuf,
    pub model_type: String,
    /// What each layer is called: the parts in which the model's layers
    /// differ, or else the kind of its feed-forward part.
    pub layers: Vec<String>,
    /// Whether each layer's attention is linear, where the configuration says.
    pub linear: Vec<Option<bool>>,
    /// Layers beside those that predict further tokens.
    pub mtp: usize,
    /// Whether attention is of the latent kind (MLA).
    pub latent: bool,
}

/// Name of a layer that predicts a further token.
const MTP: &str = "mtp";

impl ModelConfig {
    /// Reads `config.json`, given as a file or by its folder.
    pub fn read(path: &Path) -> Result<Self, PipelineError> {
        let path = match path.is_dir() {
            true => path.join("config.json"),
            false => path.to_path_buf(),
        };
        let text = disk::read_text(&path)?;
        let fail = |why: String| PipelineError::Config {
            path: path.clone(),
            why,
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let Value::Object(whole) = &value else {
            return Err(fail("it is not a JSON object".into()));
        };
        // Models of several modalities keep the language model's part apart.
        let part = ["text_config", "language_config", "llm_config"]
            .iter()
            .find_map(|key| whole.get(*key)?.as_object())
            .filter(|part| part.contains_key("num_hidden_layers"))
            .unwrap_or(whole);
        let fields = Fields(part);
        let count = fields
            .number("num_hidden_layers")
            .or_else(|| fields.number("n_layer"))
            .or_else(|| fields.number("num_layers"))
            .ok_or_else(|| fail("it has no num_hidden_layers".into()))?;
        if !(1..=MOST_LAYERS).contains(&count) {
            return Err(fail(format!("num_hidden_layers is {count}")));
        }
        let layers = fields.layers(count as usize);
        let linear = (0..layers.len()).map(|layer| fields.is_linear(layer));
        let mtp = [
            "num_nextn_predict_layers",
            "mtp_num_hidden_layers",
            "num_mtp_modules",
        ]
        .iter()
        .find_map(|key| fields.number(key))
        .unwrap_or(0)
        .min(MOST_LAYERS) as usize;
        let latent = fields.number("kv_lora_rank").is_some_and(|rank| rank > 0);
        let model_type = whole.get("model_type").and_then(Value::as_str);
        Ok(Self {
            model_type: model_type.unwrap_or("unknown").to_owned(),
            linear: linear.collect(),
            layers,
            mtp,
            latent,
            path,
        })
    }

    /// The names of as many layers as a pass has: those of the model, with the
    /// layers for further tokens where the pass runs them, too.
    pub fn names(&self, found: usize) -> Vec<String> {
        let mut names = self.layers.clone();
        if self.mtp > 0 && found == names.len() + self.mtp {
            names.resize(found, MTP.to_owned());
        }
        names
    }
}

struct Fields<'v>(&'v Map<String, Value>);

impl Fields<'_> {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    fn list(&self, key: &str) -> Option<&Vec<Value>> {
        self.0.get(key)?.as_array()
    }

    fn layers(&self, count: usize) -> Vec<String> {
        let attention: Vec<String> = (0..count).map(|layer| self.attention(layer)).collect();
        let feed: Vec<&str> = (0..count).map(|layer| self.feed_forward(layer)).collect();
        let varies = attention.iter().any(|kind| *kind != attention[0]);
        let feeds_vary = feed.iter().any(|kind| *kind != feed[0]);
        attention
            .into_iter()
            .zip(feed)
            .map(|(attention, feed)| match (varies, feeds_vary) {
                (true, true) => format!("{attention}+{feed}"),
                (true, false) => attention,
                (false, _) => feed.to_owned(),
            })
            .collect()
    }

    /// The attention of a layer; empty where the configuration gives one kind.
    fn attention(&self, layer: usize) -> String {
        let named = self
            .list("layer_types")
            .or_else(|| self.list("layers_block_type"));
        if let Some(kind) = named.and_then(|list| list.get(layer)?.as_str()) {
            return kind.to_owned();
        }
        if let Some(ratio) = self
            .list("compress_ratios")
            .and_then(|list| list.get(layer)?.as_u64())
        {
            return match ratio {
                // Nothing is compressed: the window alone is attended to.
                0 => "sliding_attention".into(),
                ratio => format!("compressed_{ratio}"),
            };
        }
        if let Some(kind) = self
            .list("attn_type_list")
            .and_then(|list| list.get(layer)?.as_u64())
        {
            return if kind == 0 {
                "linear_attention"
            } else {
                "full_attention"
            }
            .into();
        }
        let every = |key: &str| self.number(key).filter(|&every| every > 1);
        let last_of = |every: u64| (layer as u64 + 1).is_multiple_of(every);
        if let Some(every) = every("full_attention_interval") {
            return if last_of(every) {
                "full_attention"
            } else {
                "linear_attention"
            }
            .into();
        }
        if let Some(every) = every("sliding_window_pattern") {
            return if last_of(every) {
                "full_attention"
            } else {
                "sliding_attention"
            }
            .into();
        }
        String::new()
    }

    /// Whether a layer mixes tokens with a state instead of attending to all of
    /// them; `None` where the configuration does not say.
    fn is_linear(&self, layer: usize) -> Option<bool> {
        let kind = self.attention(layer);
        let state = ["linear", "mamba", "recurrent", "ssm"];
        if state.iter().any(|word| kind.contains(word)) {
            return Some(true);
        }
        kind.contains("attention").then_some(false)
    }

    fn feed_forward(&self, layer: usize) -> &'static str {
        let named = self
            .list("mlp_layer_types")
            .and_then(|list| list.get(layer)?.as_str());
        if let Some(named) = named {
            return match named {
                "dense" => "dense",
                named if named.contains("hash") => "hash_moe",
                _ => "moe",
            };
        }
        let experts = [
            "num_experts",
            "n_routed_experts",
            "num_local_experts",
            "moe_num_experts",
        ]
        .iter()
        .find_map(|key| self.number(key))
        .unwrap_or(0);
        let listed = |key: &str| {
            let list = self.list(key)?;
            Some(
                list.iter()
                    .any(|entry| entry.as_u64() == Some(layer as u64)),
            )
        };
        let step = |key: &str| self.number(key).filter(|&step| step > 1);
        let off_step =
            |key: &str| step(key).is_some_and(|step| !(layer as u64 + 1).is_multiple_of(step));
        let dense = experts == 0
            || (layer as u64) < self.number("first_k_dense_replace").unwrap_or(0)
            || listed("mlp_only_layers") == Some(true)
            || listed("moe_layers").is_some_and(|moe| !moe)
            || off_step("decoder_sparse_step")
            || off_step("interleave_moe_layer_step")
            || step("moe_layer_freq").is_some_and(|freq| !(layer as u64).is_multiple_of(freq))
            || self
                .list("moe_layer_freq")
                .and_then(|list| list.get(layer)?.as_u64())
                == Some(0);
        let hashed = (layer as u64) < self.number("num_hash_layers").unwrap_or(0);
        match (dense, hashed) {
            (true, _) => "dense",
            // The token's id, not a router, chooses the experts.
            (false, true) => "hash_moe",
            (false, false) => "moe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        ModelConfig::read(dir.path()).unwrap().layers
    }

    #[test]
    fn layers_are_named_by_what_varies() {
        assert_eq!(layers(r#"{"num_hidden_layers": 2}"#), ["dense", "dense"]);
        assert_eq!(
            layers(
                r#"{"num_hidden_layers": 4, "n_routed_experts": 64, "first_k_dense_replace": 1,
                    "kv_lora_rank": 512, "moe_layer_freq": 1}"#
            ),
            ["dense", "moe", "moe", "moe"]
        );
        assert_eq!(
            layers(
                r#"{"num_hidden_layers": 2, "num_experts": 0,
                    "layer_types": ["sliding_attention", "full_attention"]}"#
            ),
            ["sliding_attention", "full_attention"]
        );
        assert_eq!(
            layers(
                r#"{"text_config": {"num_hidden_layers": 4, "num_experts": 8, "decoder_sparse_step": 2,
                    "full_attention_interval": 4}}"#
            ),
            [
                "linear_attention+dense",
                "linear_attention+moe",
                "linear_attention+dense",
                "full_attention+moe"
            ]
        );
        assert_eq!(
            layers(r#"{"num_hidden_layers": 3, "compress_ratios": [0, 4, 128]}"#),
            ["sliding_attention", "compressed_4", "compressed_128"]
        );
        assert_eq!(
            layers(
                r#"{"num_hidden_layers": 3, "n_routed_experts": 8,
                    "mlp_layer_types": ["dense", "hash_moe", "sparse"]}"#
            ),
            ["dense", "hash_moe", "moe"]
        );
        assert_eq!(
            layers(
                r#"{"num_hidden_layers": 4, "n_routed_experts": 256, "num_hash_layers": 2,
                    "num_nextn_predict_layers": 1, "compress_ratios": [128, 4, 128, 4, 0]}"#
            ),
            [
                "compressed_128+hash_moe",
                "compressed_4+hash_moe",
                "compressed_128+moe",
                "compressed_4+moe"
            ]
        );
    }

    #[test]
    fn layers_for_further_tokens_are_named_where_they_run() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            r#"{"num_hidden_layers": 2, "num_nextn_predict_layers": 1, "kv_lora_rank": 512}"#;
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let config = ModelConfig::read(dir.path()).unwrap();
        assert!(config.latent);
        assert_eq!(config.names(2), ["dense", "dense"]);
        assert_eq!(config.names(3), ["dense", "dense", "mtp"]);
        assert_eq!(config.names(5), ["dense", "dense"]);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        for (text, why) in [
            ("[]", "not a JSON object"),
            ("{", "EOF"),
            (r#"{"num_hidden_layers": 0}"#, "num_hidden_layers is 0"),
            (r#"{"hidden_size": 8}"#, "no num_hidden_layers"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = ModelConfig::read(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
