//! `spec.json` of a capture job.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lengths::Lengths;
use super::request::{CapturedStage, GraphsChoice, KeepTraces};
use super::{CaptureError, Graphs};
use crate::bench::plan::{Executor, ExecutorKind, Plan};
use crate::bench::{Candidate, MeasuredVersion, TokenIds};
use crate::source_state::SourceState;

/// The job kind of a capture.
pub const KIND: &str = "capture";

/// What a capture job does: everything is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapturePayload {
    pub framework: String,
    pub engine: String,
    pub source: ServerSource,
    pub scenario: Option<String>,
    pub lengths: Lengths,
    pub token_ids: TokenIds,
    pub stages: Vec<CapturedStage>,
    pub graphs: GraphsChoice,
    pub ranks: u32,
    pub steps: u32,
    pub warmup_steps: u32,
    pub batch: u32,
    /// GPUs that are locked meanwhile.
    pub gpu_ids: Vec<u32>,
    /// Folder that holds one folder a framework, absolute.
    pub profiles: PathBuf,
    /// Folder of the traces and their report, absolute.
    pub folder: PathBuf,
    /// Root and round of the campaign that the capture belongs to.
    pub campaign: Option<PathBuf>,
    pub round: Option<u32>,
    /// The framework that was measured first in the scenario.
    pub leader: Option<String>,
    pub keep_traces: KeepTraces,
    pub trace_timeout_s: u32,
    /// Whether the command is the campaign's sealed one.
    #[serde(default)]
    pub sealed: bool,
    /// The framework's version when the command was measured.
    #[serde(default)]
    pub version: MeasuredVersion,
    /// The checkout that the command runs, as it was when the capture was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<SourceState>,
    /// The other host on which it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
    /// On that host: the kind of executor that brought it. Its traces are
    /// analysed where they are copied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_of: Option<ExecutorKind>,
    /// Tells captures apart that are otherwise the same.
    pub nonce: Option<String>,
}

/// Where the profiled server comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerSource {
    /// Launched for the capture.
    Launch {
        plan: Box<Plan>,
        candidate: Candidate,
    },
    /// Runs already.
    Url {
        url: String,
        /// Where it was told to write traces.
        trace_dir: Option<PathBuf>,
        /// The plan of the workload, where one is given.
        served_name: Option<String>,
    },
}

impl CapturePayload {
    /// The runs: with graphs as they are, then without.
    pub fn runs(&self) -> &'static [Graphs] {
        match self.graphs {
            GraphsChoice::On => &[Graphs::On],
            GraphsChoice::Both => &[Graphs::On, Graphs::Off],
        }
    }

    /// Ranks that write a trace, as far as is known.
    pub fn world(&self) -> u32 {
        match &self.source {
            ServerSource::Launch { plan, .. } => plan.hardware.gpu_count.max(1),
            ServerSource::Url { .. } => self.ranks,
        }
    }

    /// The folder of one stage's traces.
    pub fn stage_dir(&self, graphs: Graphs, stage: CapturedStage) -> PathBuf {
        self.folder.join(graphs.as_str()).join(stage.as_str())
    }
}

/// The job's payload as its spec holds it.
pub fn payload_of(value: Value) -> Result<CapturePayload, CaptureError> {
    serde_json::from_value(value).map_err(CaptureError::Record)
}
