//! Kernels, their launches and their Python frames, from `references/simulated-kernels.toml`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::sim::Dialect;

const TEXT: &str = include_str!("../../../references/simulated-kernels.toml");

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    sglang: Engine,
    vllm: Engine,
    kernel: BTreeMap<String, Kernel>,
}

/// What one engine's traces have in common.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub process: String,
    pub stream: u32,
    pub copy_stream: u32,
    /// Frames around the whole trace.
    pub outer: Vec<String>,
    /// Frames around a step.
    pub step: Vec<String>,
    /// Frames around a graph launch.
    pub replay: Vec<String>,
    /// Frames around the eager model.
    pub model: Vec<String>,
    /// Frames around an eager layer.
    pub layer: Vec<String>,
    blocks: BTreeMap<String, Vec<String>>,
}

/// One kernel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    pub name: String,
    pub prefill_name: Option<String>,
    pub decode_us: f64,
    pub prefill_us: f64,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    #[serde(default = "default_registers")]
    pub registers: u32,
    pub op: String,
    pub api: String,
    pub at: Vec<String>,
}

fn default_registers() -> u32 {
    32
}

/// The catalogue, read once. It is compiled in and checked by a test; should it
/// be unreadable, traces have no kernels.
pub fn catalog() -> Option<&'static Catalog> {
    static CATALOG: OnceLock<Option<Catalog>> = OnceLock::new();
    CATALOG.get_or_init(|| toml::from_str(TEXT).ok()).as_ref()
}

impl Catalog {
    /// The engine of a dialect; a plain OpenAI-compatible server profiles as vLLM does.
    pub fn engine(&self, dialect: Dialect) -> &Engine {
        match dialect {
            Dialect::Sglang => &self.sglang,
            Dialect::Vllm | Dialect::OpenAi => &self.vllm,
        }
    }

    /// Kernels of a block in order.
    pub fn block<'a>(
        &'a self,
        engine: &'a Engine,
        name: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Kernel)> {
        engine
            .blocks
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|role| Some((role.as_str(), self.kernel.get(role)?)))
    }
}

impl Engine {
    /// Whether the engine has a block of that name.
    pub fn has_block(&self, name: &str) -> bool {
        self.blocks.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_names_known_kernels() {
        let catalog: Catalog = toml::from_str(TEXT).unwrap();
        for engine in [&catalog.sglang, &catalog.vllm] {
            for name in [
                "begin",
                "full",
                "sliding",
                "linear",
                "latent",
                "dense",
                "moe",
                "half_begin",
                "half_end",
                "end",
                "sample",
            ] {
                let roles = &engine.blocks[name];
                assert_eq!(catalog.block(engine, name).count(), roles.len(), "{name}");
            }
        }
    }
}
