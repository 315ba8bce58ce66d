//! The engines that are known, read once from `references/engines/*.toml`.

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{EngineError, Profiler};
use crate::nearest::nearest;
use crate::references;

/// How an engine is started and spoken to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    pub name: String,
    /// Programs with their first arguments, in order of preference; empty: the
    /// plan must give a command.
    pub entry: Vec<Vec<String>>,
    /// The entry when the plan names an interpreter, or no program is found.
    #[serde(default)]
    pub python_entry: Vec<String>,
    /// The Python package that is the framework; none for other programs.
    pub module: Option<String>,
    /// The name under which the package is installed.
    pub distribution: Option<String>,
    /// What makes the server list all its flags.
    #[serde(default = "default_help")]
    pub help_argument: String,
    /// Further commands that list flags which the server passes on.
    #[serde(default)]
    pub further_help: Vec<Vec<String>>,
    /// Whether its argparse takes no abbreviated flags.
    #[serde(default)]
    pub flags_in_full: bool,
    /// Flags that are taken although no help lists them.
    #[serde(default)]
    pub unlisted_flags: Vec<String>,
    /// Arguments that every launch has.
    pub arguments: Vec<String>,
    /// Flags with the only value that makes a comparable server.
    #[serde(default)]
    pub fixed_flags: IndexMap<String, String>,
    /// What `_` in a flag's name becomes.
    pub flag_word: String,
    pub false_flag: FalseFlag,
    /// Flags that multiply to the number of ranks; the first is set from the plan.
    pub parallel_flags: Vec<String>,
    /// Parallelism flags that add no ranks beside another flag.
    #[serde(default)]
    pub shared_ranks: IndexMap<String, String>,
    pub tokenizer_flag: Option<String>,
    pub context_flag: Option<String>,
    pub revision_flag: Option<String>,
    pub trust_flag: Option<String>,
    /// Turns the metrics endpoint on, where it is off by default.
    pub metrics_flag: Option<String>,
    /// Whether requests may name the model as they like.
    #[serde(default)]
    pub serves_any_name: bool,
    pub ready_path: String,
    /// POST here empties the prefix cache.
    pub flush_path: Option<String>,
    /// A guess for the cost estimate until a launch was measured.
    pub typical_ready_s: f64,
    /// Seconds after which it will not follow a polite signal any more.
    pub polite_stop_s: Option<u64>,
    /// Variables that move caches of compiled kernels.
    #[serde(default)]
    pub jit_cache_env: Vec<String>,
    #[serde(default)]
    pub counters: CounterNames,
    #[serde(default)]
    pub gauges: GaugeNames,
    #[serde(default)]
    pub settings: SettingNames,
    #[serde(default)]
    pub compared: ComparedFlags,
    #[serde(default, rename = "knob")]
    pub knobs: Vec<Knob>,
    #[serde(default)]
    pub progress: Vec<ProgressLine>,
    #[serde(default)]
    pub profiler: Option<Profiler>,
}

fn default_help() -> String {
    "--help".to_owned()
}

/// Prometheus counters; of each list the first that exists counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CounterNames {
    pub generation_tokens: Vec<String>,
    pub prompt_tokens: Vec<String>,
    /// Prompt tokens found in the prefix cache.
    pub prefix_cache_hit_tokens: Vec<String>,
    /// Prompt tokens looked up in it; none: the prompt tokens.
    pub prefix_cache_query_tokens: Vec<String>,
    pub preemptions: Vec<String>,
    /// Steps of speculative decoding, tokens drafted and tokens accepted.
    pub drafts: Vec<String>,
    pub draft_tokens: Vec<String>,
    pub accepted_tokens: Vec<String>,
    /// Seconds that requests waited for the scheduler, and how many did.
    pub queue_seconds: Vec<String>,
    pub queued_requests: Vec<String>,
}

/// Prometheus gauges.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GaugeNames {
    pub kv_cache_tokens: Option<String>,
    pub accept_length: Option<String>,
    pub accept_rate: Option<String>,
}

/// Where a running server tells its settings, and under which keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingNames {
    /// GET here gives a JSON object.
    pub path: Option<String>,
    /// A metric whose labels are the settings.
    pub metric: Option<String>,
    pub version: Option<String>,
    pub prefix_cache_enabled: Option<String>,
    pub prefix_cache_disabled: Option<String>,
    pub memory_fraction: Option<String>,
    pub kv_cache_dtype: Option<String>,
    pub kv_cache_tokens: Option<String>,
    pub dtype: Option<String>,
    pub quantization: Option<String>,
    pub attention_backend: Option<String>,
    pub speculative_algorithm: Option<String>,
}

/// Flags that decide what compared servers must share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComparedFlags {
    /// Whether the prefix cache is on without any flag; none: unknown.
    pub prefix_cache_default: Option<bool>,
    /// Whether each of these flags turns it on or off.
    pub prefix_cache_flags: IndexMap<String, bool>,
    /// Flags that turn speculative decoding on; it is off without them.
    pub speculative_flags: Vec<String>,
}

impl ComparedFlags {
    /// Whether a server with these flags has its prefix cache on, where that is known.
    pub fn prefix_cache(&self, flags: &Map<String, Value>) -> Option<bool> {
        let mut on = self.prefix_cache_default?;
        for (flag, value) in flags {
            if let (Some(turns), Some(set)) =
                (self.prefix_cache_flags.get(&plain(flag)), value.as_bool())
            {
                on = *turns == set;
            }
        }
        Some(on)
    }

    /// Whether a server with these flags decodes speculatively, where that is known.
    pub fn speculates(&self, flags: &Map<String, Value>) -> Option<bool> {
        let any = flags
            .iter()
            .any(|(flag, value)| self.speculative_flags.contains(&plain(flag)) && !value.is_null());
        (!self.speculative_flags.is_empty()).then_some(any)
    }
}

/// A flag as a plan writes it, with `_`.
fn plain(flag: &str) -> String {
    flag.trim_start_matches('-').replace('-', "_")
}

/// A flag that changes speed and never what is generated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knob {
    /// As a plan writes it, with `_`.
    pub flag: String,
    /// What it acts on, for people.
    pub family: String,
    /// The search tier from which it is tried.
    pub tier: u8,
    /// Values that are safe to try, best guess first.
    pub values: Vec<Value>,
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
    #[serde(deserialize_with = "references::regex")]
    pub pattern: Regex,
    pub says: String,
}

/// The engines' files, in the order in which they are named to people.
const FILES: [(&str, &str); 5] = [
    (
        "engines/sglang.toml",
        include_str!("../../references/engines/sglang.toml"),
    ),
    (
        "engines/vllm.toml",
        include_str!("../../references/engines/vllm.toml"),
    ),
    (
        "engines/trtllm.toml",
        include_str!("../../references/engines/trtllm.toml"),
    ),
    (
        "engines/tokenspeed.toml",
        include_str!("../../references/engines/tokenspeed.toml"),
    ),
    (
        "engines/openai.toml",
        include_str!("../../references/engines/openai.toml"),
    ),
];

static ENGINES: LazyLock<Vec<Result<Engine, String>>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, built_in)| references::load(name, built_in).map_err(|error| error.to_string()))
        .collect()
});

/// Why an engine's file cannot be used.
pub(super) fn problem(file: &str) -> Option<String> {
    let mut files = FILES.iter().zip(ENGINES.iter());
    let (_, read) = files.find(|((name, _), _)| *name == file)?;
    read.as_ref().err().cloned()
}

/// The engine of that name.
pub fn engine(name: &str) -> Result<&'static Engine, EngineError> {
    // A file that cannot be read might be the one that is asked for.
    let mut broken = None;
    for read in ENGINES.iter() {
        match read {
            Ok(engine) if engine.name == name => return Ok(engine),
            Ok(_) => {}
            Err(problem) => broken = Some(problem),
        }
    }
    if let Some(problem) = broken {
        return Err(EngineError::Catalogue(problem.clone()));
    }
    Err(EngineError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, names()).map(str::to_owned),
    })
}

/// Names of the known engines.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENGINES
        .iter()
        .filter_map(|read| Some(read.as_ref().ok()?.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_engine_file_parses() {
        assert_eq!(
            names().collect::<Vec<_>>(),
            ["sglang", "vllm", "trtllm", "tokenspeed", "openai"]
        );
    }

    #[test]
    fn flags_tell_whether_the_prefix_cache_is_on() {
        let on = |name: &str, flags: Value| {
            let flags = flags.as_object().unwrap().clone();
            engine(name).unwrap().compared.prefix_cache(&flags)
        };
        assert_eq!(on("sglang", json!({})), Some(true));
        assert_eq!(
            on("sglang", json!({"disable_radix_cache": true})),
            Some(false)
        );
        assert_eq!(on("vllm", json!({})), Some(true));
        assert_eq!(
            on("vllm", json!({"--enable-prefix-caching": false})),
            Some(false)
        );
        assert_eq!(
            on("vllm", json!({"no_enable_prefix_caching": true})),
            Some(false)
        );
        assert_eq!(on("trtllm", json!({})), None);
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
