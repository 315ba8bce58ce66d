//! The prompts of a plan: the same for every engine, fresh for every repeat.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::RunFailure;
use super::plan::{DatasetKind, Plan, Scenario};
use super::workload::{
    LenRange, Prompt, RandomPrompts, WorkloadError, random_prompts, read_prompts,
};

/// Where a plan's prompts come from.
#[derive(Debug)]
pub struct Prompts {
    source: Source,
    num_prompts: usize,
    warmup_requests: usize,
    seed: u64,
}

/// The token ids that random prompts are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenIds {
    pub vocab_size: u32,
    /// Never sent.
    pub special_ids: Vec<u32>,
}

#[derive(Debug)]
enum Source {
    Random(TokenIds),
    /// Measured prompts, then those left over for warm-up.
    File {
        measured: Vec<Prompt>,
        rest: Vec<Prompt>,
    },
}

const DEFAULT_VOCAB: u32 = 32_000;
/// Ids below this are special or byte tokens in most vocabularies.
const LOWEST_ID: u32 = 100;
/// Warm-up requests generate no more than this.
const WARMUP_OUTPUT: u32 = 64;

impl Prompts {
    /// Prepares the prompts of a plan; reads the dataset or the model's config.
    pub fn of(plan: &Plan) -> Result<Self, WorkloadError> {
        let num_prompts = plan.dataset.num_prompts as usize;
        let source = match (&plan.dataset.kind, &plan.dataset.path) {
            (DatasetKind::Jsonl, Some(path)) => {
                let mut measured = read_prompts(path, None)?;
                let rest = measured.split_off(num_prompts.min(measured.len()));
                Source::File { measured, rest }
            }
            _ => Source::Random(TokenIds::of(plan)),
        };
        Ok(Self {
            source,
            num_prompts,
            warmup_requests: plan.warmup.requests as usize,
            seed: plan.sampling.seed,
        })
    }

    /// The prompts of one measured run. `purpose` names the run: every engine
    /// gets the same for it, and no two runs get the same.
    pub fn measured(&self, scenario: &Scenario, purpose: &str) -> Result<Vec<Prompt>, RunFailure> {
        match &self.source {
            Source::File { measured, .. } => Ok(measured.clone()),
            Source::Random(_) => self.random(
                self.num_prompts,
                scenario.input_len,
                scenario.output_len,
                purpose,
            ),
        }
    }

    /// The prompts of one warm-up pass, none of which is measured later where
    /// the dataset allows it.
    pub fn warm_up(
        &self,
        scenario: &Scenario,
        purpose: &str,
        pass: u32,
    ) -> Result<Vec<Prompt>, RunFailure> {
        match &self.source {
            Source::File { measured, rest } => {
                let pool = if rest.is_empty() { measured } else { rest };
                let prompts = pool.iter().take(self.warmup_requests).cloned();
                Ok(prompts
                    .map(|mut prompt| {
                        prompt.output_len = prompt.output_len.min(WARMUP_OUTPUT);
                        prompt
                    })
                    .collect())
            }
            Source::Random(_) => self.random(
                self.warmup_requests,
                scenario.input_len,
                scenario.output_len.min(WARMUP_OUTPUT),
                &format!("{purpose}/warm-up/{pass}"),
            ),
        }
    }

    /// Whether a warm cache could have seen the measured prompts.
    pub fn repeat_between_runs(&self) -> bool {
        matches!(self.source, Source::File { .. })
    }

    fn random(
        &self,
        count: usize,
        input_len: u32,
        output_len: u32,
        purpose: &str,
    ) -> Result<Vec<Prompt>, RunFailure> {
        match &self.source {
            Source::Random(ids) => ids
                .prompts(count, (input_len, output_len), self.seed, purpose)
                .map_err(|error| RunFailure::failed(error.to_string())),
            Source::File { .. } => Ok(Vec::new()),
        }
    }
}

impl Default for TokenIds {
    /// Those of a small vocabulary, which every model has.
    fn default() -> Self {
        Self {
            vocab_size: DEFAULT_VOCAB,
            special_ids: Vec::new(),
        }
    }
}

impl TokenIds {
    /// The ids of the plan's model: from the plan, its `config.json`, or the default.
    pub fn of(plan: &Plan) -> Self {
        let config = model_config(Path::new(plan.model.path()));
        Self {
            vocab_size: plan
                .model
                .vocab_size
                .or_else(|| number(&config, "vocab_size"))
                .unwrap_or(DEFAULT_VOCAB),
            special_ids: ["bos_token_id", "eos_token_id", "pad_token_id"]
                .iter()
                .flat_map(|key| numbers(&config, key))
                .collect(),
        }
    }

    /// Prompts of `(input, output)` tokens that no other purpose shares.
    pub fn prompts(
        &self,
        count: usize,
        (input_len, output_len): (u32, u32),
        seed: u64,
        purpose: &str,
    ) -> Result<Vec<Prompt>, WorkloadError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        random_prompts(&RandomPrompts {
            num_prompts: count,
            input_len: LenRange::fixed(input_len),
            output_len: LenRange::fixed(output_len),
            vocab_size: self.vocab_size,
            lowest_id: LOWEST_ID.min(self.vocab_size / 4),
            excluded_ids: self.special_ids.clone(),
            seed,
            purpose: purpose.to_owned(),
        })
    }
}

/// `config.json` of a local model folder; null where there is none.
fn model_config(path: &Path) -> Value {
    std::fs::read(path.join("config.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null)
}

fn number(config: &Value, key: &str) -> Option<u32> {
    numbers(config, key).first().copied()
}

/// A number or a list of numbers, at the top or in the text part of a
/// multi-modal config.
fn numbers(config: &Value, key: &str) -> Vec<u32> {
    let value = config
        .get(key)
        .or_else(|| config.get("text_config").and_then(|text| text.get(key)));
    let items = match value {
        Some(Value::Array(items)) => items.clone(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    };
    items
        .iter()
        .filter_map(|item| u32::try_from(item.as_u64()?).ok())
        .collect()
}
