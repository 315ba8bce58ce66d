//! The engines that are known, read once from `references/engines/*.toml`.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::{EngineError, Profiler};
use crate::nearest::nearest;

/// How an engine is started and spoken to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub name: String,
    /// Program and first arguments; empty: the plan must give a command.
    pub entry: Vec<String>,
    /// The entry when the plan names an interpreter.
    #[serde(default)]
    pub python_entry: Vec<String>,
    /// Arguments that every launch has.
    pub arguments: Vec<String>,
    /// What `_` in a flag's name becomes.
    pub flag_word: String,
    pub false_flag: FalseFlag,
    /// Flags that multiply to the number of ranks; the first is set from the plan.
    pub parallel_flags: Vec<String>,
    pub tokenizer_flag: Option<String>,
    pub context_flag: Option<String>,
    pub revision_flag: Option<String>,
    pub trust_flag: Option<String>,
    /// Turns the metrics endpoint on, where it is off by default.
    pub metrics_flag: Option<String>,
    pub ready_path: String,
    /// POST here empties the prefix cache.
    pub flush_path: Option<String>,
    /// Counters of generated tokens, the first that exists counts.
    pub generation_tokens: Vec<String>,
    /// A guess for the cost estimate until a launch was measured.
    pub typical_ready_s: f64,
    #[serde(default)]
    pub progress: Vec<ProgressLine>,
    #[serde(default)]
    pub profiler: Option<Profiler>,
}

/// What `some_flag: false` becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FalseFlag {
    /// Nothing at all.
    Omit,
    /// `--no-some-flag`.
    Negative,
}

/// A log line that tells what a starting engine is at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressLine {
    #[serde(deserialize_with = "regex")]
    pub pattern: Regex,
    pub says: String,
}

/// Reads a regular expression from a string.
pub(super) fn regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Regex, D::Error> {
    let text = String::deserialize(deserializer)?;
    Regex::new(&text).map_err(serde::de::Error::custom)
}

static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| {
    [
        include_str!("../../references/engines/sglang.toml"),
        include_str!("../../references/engines/vllm.toml"),
        include_str!("../../references/engines/openai.toml"),
    ]
    .iter()
    // A unit test proves that every compiled-in file parses.
    .filter_map(|text| toml::from_str(text).ok())
    .collect()
});

/// The engine of that name.
pub fn engine(name: &str) -> Result<&'static Engine, EngineError> {
    ENGINES
        .iter()
        .find(|engine| engine.name == name)
        .ok_or_else(|| EngineError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, names()).map(str::to_owned),
        })
}

/// Names of the known engines.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENGINES.iter().map(|engine| engine.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_file_parses() {
        assert_eq!(names().collect::<Vec<_>>(), ["sglang", "vllm", "openai"]);
    }

    #[test]
    fn an_unknown_engine_is_named_with_the_nearest() {
        let error = engine("sg-lang").unwrap_err();
        assert!(error.to_string().contains("sg-lang"));
        assert!(matches!(
            error,
            EngineError::Unknown { nearest: Some(name), .. } if name == "sglang"
        ));
    }
}
