//! The files that decide what a model is: hashed, so that two frameworks can be
//! seen to serve the same one.

use std::path::Path;

use indexmap::IndexMap;

use crate::sha256;

const FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];

/// Larger files are no configuration.
const MOST: u64 = 64 << 20;

/// SHA-256 of each such file of a model folder; empty for a hub id.
pub fn model_files(model: &Path) -> IndexMap<String, String> {
    FILES
        .iter()
        .filter_map(|name| {
            let path = model.join(name);
            let length = std::fs::metadata(&path).ok()?.len();
            let bytes = (length <= MOST).then(|| std::fs::read(&path).ok())??;
            Some(((*name).to_owned(), sha256::hex(&bytes)))
        })
        .collect()
}
