//! The plan: one YAML file that says what is measured, on what, and by which engines.

mod check;
#[cfg(test)]
mod check_tests;
mod error;
mod executor;
mod framework;
mod read;

pub use error::PlanError;
pub use executor::{Executor, ExecutorKind};
pub use framework::{Framework, Source};
pub use read::{from_path, from_value};

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::max_load::MaxLoadSearch;

/// Flags of an engine as the plan writes them: `some_key: value`.
pub type Flags = Map<String, Value>;

/// A whole benchmark plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub model: Model,
    #[serde(default)]
    pub hardware: Hardware,
    pub dataset: Dataset,
    #[serde(default)]
    pub benchmark: Load,
    #[serde(default)]
    pub sampling: Sampling,
    #[serde(default)]
    pub sla: Sla,
    #[serde(default)]
    pub warmup: Warmup,
    #[serde(default)]
    pub search: Search,
    #[serde(default)]
    pub timeouts: Timeouts,
    pub frameworks: IndexMap<String, Framework>,
}

/// What every engine serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Short name; also the served name unless `served_name` differs.
    pub name: String,
    /// Folder or hub id given to the engines; default: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(default)]
    pub trust_remote_code: bool,
    /// Longest context in tokens that the engines are started for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context: Option<u32>,
    /// Token ids of random prompts are drawn below this; default: from
    /// `config.json` in `path`, else 32,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<u32>,
}

impl Model {
    /// What the engines load.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }

    /// The name in requests.
    pub fn served_name(&self) -> &str {
        self.served_name.as_deref().unwrap_or(&self.name)
    }
}

/// The GPUs of every candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hardware {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<String>,
    /// Ranks of every candidate; more than `gpu_ids` is an error.
    pub gpu_count: u32,
    /// Indices as the driver counts them. Empty: no GPU is used or locked.
    pub gpu_ids: Vec<u32>,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            gpu_model: None,
            gpu_count: 1,
            gpu_ids: Vec::new(),
        }
    }
}

/// Where the requests come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    #[serde(default)]
    pub kind: DatasetKind,
    /// JSONL file of prompts, for kind `jsonl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Requests of one scenario run.
    #[serde(default = "default_num_prompts")]
    pub num_prompts: u32,
    #[serde(default = "default_scenario_names")]
    pub scenario_names: Vec<String>,
    /// Prompt tokens, one length a scenario (one entry serves all).
    #[serde(default = "default_input_len")]
    pub input_len: Vec<u32>,
    /// Generated tokens, one length a scenario (one entry serves all).
    #[serde(default = "default_output_len")]
    pub output_len: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// Random token ids of exact length.
    #[default]
    Random,
    /// Prompts from a JSONL file.
    Jsonl,
}

fn default_num_prompts() -> u32 {
    80
}

fn default_scenario_names() -> Vec<String> {
    vec!["chat".to_owned(), "summarization".to_owned()]
}

fn default_input_len() -> Vec<u32> {
    vec![1000, 8000]
}

fn default_output_len() -> Vec<u32> {
    vec![1000]
}

/// How the requests are sent. Rates and caps are aligned lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    pub endpoint: String,
    /// Requests a second; null or `inf`: all at once.
    pub request_rates: Vec<Option<Rate>>,
    /// Requests in flight at most; null: no cap.
    pub max_concurrency: Vec<Option<u32>>,
    /// Shape of the arrivals: 1 Poisson, larger steadier, `inf` constant.
    pub burstiness: Rate,
    /// Further keys of every request body.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_request_body: Map<String, Value>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            endpoint: "/v1/completions".to_owned(),
            request_rates: vec![None],
            max_concurrency: vec![None],
            burstiness: Rate(1.0),
            extra_request_body: Map::new(),
        }
    }
}

/// A positive number, or the word `inf`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f64(self.0)
        } else {
            serializer.serialize_str("inf")
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Word(word) if word == "inf" => Ok(Self(f64::INFINITY)),
            Written::Word(word) => Err(serde::de::Error::custom(format!(
                "`{word}` is neither a number nor `inf`"
            ))),
        }
    }
}

/// Decoding settings, the same for every engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    pub temperature: f64,
    /// Generate exactly the asked number of tokens.
    pub ignore_eos: bool,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            ignore_eos: true,
            seed: 1,
        }
    }
}

/// Limits that a candidate must keep; an absent limit is no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sla {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p50_ttft_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p50_tpot_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p99_ttft_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_p99_tpot_ms: Option<f64>,
    pub min_success_rate: f64,
}

impl Default for Sla {
    fn default() -> Self {
        Self {
            max_p50_ttft_ms: None,
            max_p50_tpot_ms: None,
            max_p99_ttft_ms: None,
            max_p99_tpot_ms: None,
            min_success_rate: 0.99,
        }
    }
}

/// Warm-up before each scenario, never measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Warmup {
    /// Requests of one pass; passes repeat until two agree within 5%. 0: none.
    pub requests: u32,
}

impl Default for Warmup {
    fn default() -> Self {
        Self { requests: 8 }
    }
}

/// How candidates are searched and the winners repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// How far the search space may go: 1 the baseline alone, 2 one flag at a
    /// time, 3 the whole product.
    pub tier: u8,
    pub max_candidates_per_framework: u32,
    /// A framework that is further behind another everywhere gets no further
    /// candidates, in percent of request throughput; null: all are tried.
    pub stop_behind_pct: Option<f64>,
    /// Seek the highest request rate that keeps the SLA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_load: Option<MaxLoadSearch>,
    /// Measured sessions of each framework's winner.
    pub repeats: u32,
    pub relaunch: Relaunch,
    /// Keep finished rows of an earlier run of the same plan.
    pub resume: bool,
    /// Folder of rows, summary and jobs; relative to the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_dir: Option<PathBuf>,
    /// The whole job's time limit in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wall_s: Option<u64>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            tier: 2,
            max_candidates_per_framework: 6,
            stop_behind_pct: Some(50.0),
            max_load: None,
            repeats: 3,
            relaunch: Relaunch::Shared,
            resume: true,
            output_dir: None,
            max_wall_s: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relaunch {
    /// Adjacent sessions of one engine share a launch.
    #[default]
    Shared,
    /// Every session launches anew.
    Always,
}

/// Limits in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From launch to the first answered request.
    pub ready_s: u64,
    /// One scenario run.
    pub run_s: u64,
    /// From the polite signal to the kill.
    pub stop_s: u64,
    /// How long a job waits for a GPU that a foreign process holds; 0: it fails
    /// at once.
    pub wait_for_gpu_s: u64,
    /// One build step of a source checkout.
    pub build_s: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ready_s: 1800,
            run_s: 7200,
            stop_s: 60,
            wait_for_gpu_s: 0,
            build_s: 3600,
        }
    }
}

/// One scenario's lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    pub name: String,
    pub input_len: u32,
    pub output_len: u32,
}

/// One way of sending: a rate and a cap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// Requests a second; none: all at once.
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<u32>,
}

impl Plan {
    /// The scenarios with their lengths; aligned, not multiplied.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let dataset = &self.dataset;
        dataset
            .scenario_names
            .iter()
            .enumerate()
            .map(|(index, name)| Scenario {
                name: name.clone(),
                input_len: aligned(&dataset.input_len, index),
                output_len: aligned(&dataset.output_len, index),
            })
            .collect()
    }

    /// The loads of every scenario; rates and caps aligned.
    pub fn load_points(&self) -> Vec<LoadPoint> {
        let load = &self.benchmark;
        let count = load.request_rates.len().max(load.max_concurrency.len());
        (0..count)
            .map(|index| LoadPoint {
                request_rate: aligned(&load.request_rates, index)
                    .map(|rate| rate.0)
                    .filter(|rate| rate.is_finite()),
                max_concurrency: aligned(&load.max_concurrency, index),
            })
            .collect()
    }

    /// The frameworks that take part, in the plan's order.
    pub fn enabled(&self) -> impl Iterator<Item = (&String, &Framework)> {
        self.frameworks
            .iter()
            .filter(|(_, framework)| framework.is_enabled())
    }
}

/// The entry at `index`; a list of one serves every index.
fn aligned<T: Clone + Default>(list: &[T], index: usize) -> T {
    list.get(index)
        .or(list.first())
        .cloned()
        .unwrap_or_default()
}
