//! Annotations that name a step, read by the table of grammars.

use regex::{Captures, Regex};
use serde::Deserialize;

use super::{Stage, StepShape};
use crate::references::{self, Catalogue};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::trace) struct Table {
    grammar: Vec<Grammar>,
    evidence: Vec<Evidence>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grammar {
    engine: String,
    #[serde(deserialize_with = "references::regex")]
    pattern: Regex,
    #[serde(default)]
    capture: bool,
    #[serde(default)]
    modes: std::collections::BTreeMap<String, Stage>,
}

/// Words in kernel names that tell a stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Evidence {
    pub stage: Stage,
    pub any: Vec<String>,
}

pub(in crate::trace) static ANNOTATIONS: Catalogue<Table> = Catalogue::new(
    "step-annotations.toml",
    include_str!("../../../references/step-annotations.toml"),
);

/// What an annotation says about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// `None` for a step without requests.
    pub stage: Option<Stage>,
    pub shape: StepShape,
    pub capture: bool,
    pub engine: String,
}

/// Reads an annotation; `None` when it names no step.
pub(super) fn read_annotation(text: &str) -> Option<Reading> {
    let grammars = &ANNOTATIONS.table().grammar;
    grammars
        .iter()
        .find_map(|grammar| Some((grammar, grammar.pattern.captures(text)?)))
        .and_then(|(grammar, captures)| reading(grammar, &captures))
}

/// The table of kernel names that tell a stage.
pub(super) fn evidence() -> &'static [Evidence] {
    &ANNOTATIONS.table().evidence
}

fn reading(grammar: &Grammar, captures: &Captures<'_>) -> Option<Reading> {
    let count = |group: &str| captures.name(group)?.as_str().parse::<u32>().ok();
    let mut shape = StepShape {
        batch: count("batch"),
        tokens: count("tokens"),
        prefill_requests: count("prefill_requests"),
        prefill_tokens: count("prefill_tokens"),
        decode_requests: count("decode_requests"),
        decode_tokens: count("decode_tokens"),
    };
    let stage = match captures.name("mode") {
        Some(mode) => Some(*grammar.modes.get(mode.as_str())?),
        None => shape.stage(),
    };
    shape.complete(stage);
    Some(Reading {
        stage,
        shape,
        capture: grammar.capture,
        engine: grammar.engine.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading {
        read_annotation(text).unwrap_or_else(|| panic!("{text} names a step"))
    }

    #[test]
    fn sglang_steps() {
        let step = read("step[EXTEND bs=3 toks=67]");
        assert_eq!(step.stage, Some(Stage::Prefill));
        assert_eq!(step.shape.prefill_requests, Some(3));
        assert_eq!(step.shape.prefill_tokens, Some(67));
        let step = read("step[DECODE bs=8]");
        assert_eq!(step.stage, Some(Stage::Decode));
        assert_eq!(
            (step.shape.batch, step.shape.decode_tokens),
            (Some(8), None)
        );
        let step = read("step[MIXED bs=9 toks=520 c_sq=512 c_sk=512 g_sq=8 g_sk=900]");
        assert_eq!(step.stage, Some(Stage::Mixed));
        assert_eq!(step.shape.tokens, Some(520));
        assert_eq!(
            read("step[TARGET_VERIFY bs=2 toks=8]").stage,
            Some(Stage::Decode)
        );
        assert_eq!(read_annotation("step[IDLE]"), None);
        assert_eq!(read_annotation("scheduler.run_batch"), None);
    }

    #[test]
    fn vllm_steps() {
        let step = read("execute_context_0(0)_generation_32(32)");
        assert_eq!(step.stage, Some(Stage::Decode));
        assert_eq!(step.shape.batch, Some(32));
        let step = read("execute_context_2(512)_generation_14(14)");
        assert_eq!(step.stage, Some(Stage::Mixed));
        assert_eq!((step.shape.batch, step.shape.tokens), (Some(16), Some(526)));
        let step = read("execute_context_1(4000)_generation_0(0)");
        assert_eq!(step.stage, Some(Stage::Prefill));
        assert_eq!(step.shape.tokens, Some(4000));
        assert_eq!(read("execute_context_0(0)_generation_0(0)").stage, None);
        let step = read(
            "execute_600_context_2(sq88sk140sqsq3904sqsk7744)_generation_8(sq8sk4200sqsq8sqsk4200)",
        );
        assert_eq!(step.stage, Some(Stage::Mixed));
        assert_eq!(
            (step.shape.prefill_tokens, step.shape.decode_tokens),
            (Some(88), Some(8))
        );
    }

    #[test]
    fn other_engines_steps() {
        let step = read("[Executor] _forward_step 41: 1 ctx reqs, 4000 ctx tokens, 3 gen reqs");
        assert_eq!(step.stage, Some(Stage::Mixed));
        assert_eq!(step.shape.batch, Some(4));
        assert_eq!(read("decode[bs=117/128 tok=117]").shape.batch, Some(117));
        assert!(read("capture_8_DECODE").capture);
    }
}
