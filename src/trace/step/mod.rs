//! Which forward step each piece of GPU work belongs to.
//!
//! Work is tied to a step by its launch: the call that caused it lies, in
//! time and thread, inside the step's annotation. This also holds for graph
//! replays, whose kernels run long after the annotation ended; windows drawn
//! on the GPU track miss some of them and take in strangers.

mod assign;
mod grammar;
mod infer;

pub(super) use grammar::ANNOTATIONS;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::category::CategoryColumn;
use super::index::{NameId, SpanIndex, StepIndex, ThreadId};
use super::{GpuKind, Trace};

/// The stage of serving that a step does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Prefill,
    Decode,
    /// Prefill and decode requests in one batch.
    Mixed,
    Unknown,
}

impl Stage {
    /// The name that the stage has in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
            Self::Unknown => "unknown",
        }
    }
}

/// Requests and tokens of a step, as far as its annotation tells.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct StepShape {
    /// Requests in the step.
    pub batch: Option<u32>,
    /// Tokens in the step.
    pub tokens: Option<u32>,
    pub prefill_requests: Option<u32>,
    pub prefill_tokens: Option<u32>,
    pub decode_requests: Option<u32>,
    pub decode_tokens: Option<u32>,
}

impl StepShape {
    /// The stage that the request counts tell; `None` when there are none.
    fn stage(&self) -> Option<Stage> {
        let some = |count: Option<u32>| count.unwrap_or(0) > 0;
        match (some(self.prefill_requests), some(self.decode_requests)) {
            (true, true) => Some(Stage::Mixed),
            (true, false) => Some(Stage::Prefill),
            (false, true) => Some(Stage::Decode),
            (false, false) => None,
        }
    }

    /// Fills totals from parts, and parts from totals where the stage has one part.
    fn complete(&mut self, stage: Option<Stage>) {
        let sum = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        self.batch = self
            .batch
            .or_else(|| sum(self.prefill_requests, self.decode_requests));
        self.tokens = self
            .tokens
            .or_else(|| sum(self.prefill_tokens, self.decode_tokens));
        match stage {
            Some(Stage::Prefill) => {
                self.prefill_requests = self.prefill_requests.or(self.batch);
                self.prefill_tokens = self.prefill_tokens.or(self.tokens);
            }
            Some(Stage::Decode) => {
                self.decode_requests = self.decode_requests.or(self.batch);
                self.decode_tokens = self.decode_tokens.or(self.tokens);
            }
            _ => {}
        }
    }
}

/// How the steps of a trace were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepSource {
    /// The engine annotated them.
    Annotation,
    /// Cut at sampling kernels or graph replays; the stage is the folder's.
    Folder,
    /// Cut at sampling kernels or graph replays; the stage is told by kernel names.
    Kernels,
    /// Nothing tells where a step begins.
    None,
}

/// One forward step of an engine.
#[derive(Debug, Clone)]
pub struct Step {
    pub stage: Stage,
    pub shape: StepShape,
    /// Whether the step recorded a CUDA graph instead of serving.
    pub capture: bool,
    /// The annotation, where there is one.
    pub name: Option<NameId>,
    pub annotation: Option<SpanIndex>,
    pub thread: Option<ThreadId>,
    /// On the CPU where annotated, else on the GPU; nanoseconds.
    pub start_ns: i64,
    pub end_ns: i64,
    /// Rows of [`GpuTable`](super::GpuTable) that belong to the step, in order of start.
    pub gpu: Vec<u32>,
    /// How many of them were launched inside the annotation; the rest were
    /// launched around it, before another step began.
    pub inside: u32,
}

/// The steps of a trace, in order of start.
#[derive(Debug)]
pub struct Steps {
    pub steps: Vec<Step>,
    /// Steps that were annotated but had no requests; they are not in `steps`.
    pub empty: u32,
    pub source: StepSource,
    /// The engine whose grammar the annotations follow.
    pub engine: Option<String>,
    /// The step of each GPU row.
    pub of_gpu: Vec<Option<StepIndex>>,
}

impl Steps {
    /// Finds the steps of a trace. `hint` is the stage that the trace's place
    /// says it has; annotations win over it.
    pub fn new(trace: &Trace, categories: &CategoryColumn, hint: Option<Stage>) -> Self {
        let mut found = annotated(trace);
        if found.steps.is_empty() {
            return infer::infer(trace, categories, hint);
        }
        assign::assign(trace, categories, &mut found);
        found
    }

    /// The step behind an index.
    pub fn get(&self, index: StepIndex) -> Option<&Step> {
        self.steps.get(index.row())
    }

    /// The kernels of a step, in order of start.
    pub fn kernels<'a>(&'a self, trace: &'a Trace, step: &'a Step) -> impl Iterator<Item = usize> {
        step.gpu
            .iter()
            .map(|&row| row as usize)
            .filter(|&row| trace.gpu.kind[row] == GpuKind::Kernel)
    }
}

fn annotated(trace: &Trace) -> Steps {
    let mut readings = std::collections::HashMap::new();
    let mut found = Steps {
        steps: Vec::new(),
        empty: 0,
        source: StepSource::Annotation,
        engine: None,
        of_gpu: vec![None; trace.gpu.len()],
    };
    let spans = &trace.annotations;
    for row in 0..spans.len() {
        let name = spans.name[row];
        let reading = readings
            .entry(name)
            .or_insert_with(|| grammar::read_annotation(trace.text(name)));
        let Some(reading) = reading else { continue };
        found.engine.get_or_insert_with(|| reading.engine.clone());
        let Some(stage) = reading.stage else {
            found.empty += 1;
            continue;
        };
        found.steps.push(Step {
            stage,
            shape: reading.shape,
            capture: reading.capture,
            name: Some(name),
            annotation: SpanIndex::new(row),
            thread: Some(spans.thread[row]),
            start_ns: spans.start_ns[row],
            end_ns: spans.end_ns(row),
            gpu: Vec::new(),
            inside: 0,
        });
    }
    found.steps.sort_by_key(|step| step.start_ns);
    found
}
