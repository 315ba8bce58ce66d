//! Profiling a running engine: steps are recorded, then written as a trace.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::oneshot;

use super::config::SimConfig;
use super::cost::{CostModel, Work};
use super::dialect::Dialect;
use super::planned_fault::PlannedFault;
use super::scheduler::{Nanos, Step, nanos};
use super::trace::{Launch, ModelShape, PassSpec, TraceSpec, write_trace};

/// Most steps of one trace; a decode step of 36 layers is about 0.7 MB of JSON.
pub const MAX_STEPS: u64 = 500;

/// One step as it was run.
#[derive(Debug, Clone, Copy)]
pub struct Recorded {
    start: Nanos,
    end: Nanos,
    work: Work,
    prefills: u32,
}

impl Recorded {
    pub fn of(step: &Step) -> Self {
        Self {
            start: step.start,
            end: step.end,
            work: step.work,
            prefills: step.prefill_sequences(),
        }
    }

    /// The decode step of requests that ended in the step before.
    pub fn overrun(before: &Step, requests: u32, cost: &CostModel) -> Self {
        let work = Work {
            decode_batch: requests,
            decode_context: u64::from(before.work.prefill_tokens)
                + before.work.decode_context
                + u64::from(requests),
            ..Work::default()
        };
        Self {
            start: before.end,
            end: before.end + nanos(cost.gpu_ms(work) + cost.host.gap_ms).max(1),
            work,
            prefills: 0,
        }
    }

    pub fn end(&self) -> Nanos {
        self.end
    }
}

/// Collects steps until it has enough or is stopped.
pub struct Recorder {
    skip: u64,
    left: u64,
    /// Whether it ends only when one step more begins.
    ends_at_next: bool,
    steps: Vec<Recorded>,
    done: oneshot::Sender<Vec<Recorded>>,
}

impl Recorder {
    /// Records up to `limit` steps, then hands them to `done`.
    pub fn new(limit: Option<u64>, done: oneshot::Sender<Vec<Recorded>>) -> Self {
        Self {
            skip: 0,
            left: limit.unwrap_or(MAX_STEPS).clamp(1, MAX_STEPS),
            ends_at_next: false,
            steps: Vec::new(),
            done,
        }
    }

    /// Counts as SGLang does: the last step that it is asked for ends the
    /// recording as it begins.
    pub fn counting_its_end(limit: u64, done: oneshot::Sender<Vec<Recorded>>) -> Self {
        Self {
            ends_at_next: true,
            ..Self::new(Some(limit.saturating_sub(1)), done)
        }
    }

    /// The same after some steps that are not recorded.
    pub fn after(skip: u64, limit: u64, done: oneshot::Sender<Vec<Recorded>>) -> Self {
        Self {
            skip,
            ..Self::new(Some(limit), done)
        }
    }

    /// Adds a step; nothing when that ended the recording.
    pub fn add(mut self, step: Recorded) -> Option<Self> {
        if self.skip > 0 {
            self.skip -= 1;
            return Some(self);
        }
        if self.left > 0 {
            self.left -= 1;
            self.steps.push(step);
            if self.left > 0 || self.ends_at_next {
                return Some(self);
            }
        }
        self.finish();
        None
    }

    /// Hands over what there is.
    pub fn finish(self) {
        // The one who asked may be gone.
        let _ = self.done.send(self.steps);
    }
}

/// A range of steps that the environment asks to record, as TensorRT-LLM reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedRange {
    pub first: u64,
    pub steps: u64,
    /// The file of the trace.
    pub path: PathBuf,
}

impl FixedRange {
    /// From `TLLM_PROFILE_START_STOP` (`first-last`) and `TLLM_TORCH_PROFILE_TRACE`.
    pub fn from_env() -> Option<Self> {
        let range = std::env::var("TLLM_PROFILE_START_STOP").ok()?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        Some(Self {
            first,
            steps: last.checked_sub(first).filter(|steps| *steps > 0)?,
            path: std::env::var_os("TLLM_TORCH_PROFILE_TRACE")?.into(),
        })
    }
}

/// Writes the first rank's trace, not packed, as TensorRT-LLM would.
pub fn export_file(config: &SimConfig, steps: &[Recorded], path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = BufWriter::with_capacity(1 << 18, File::create(path)?);
    write_trace(&spec(config, steps), 0, file).map(drop)
}

/// Writes one gzipped trace a rank into `folder`, named as the engine would.
pub fn export(config: &SimConfig, steps: &[Recorded], folder: &Path) -> io::Result<Vec<PathBuf>> {
    if config.faults.contains(&PlannedFault::NoTrace) {
        return Ok(Vec::new());
    }
    let spec = spec(config, steps);
    fs::create_dir_all(folder)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut paths = Vec::new();
    for rank in 0..spec.shape.ranks {
        let name = match config.dialect {
            Dialect::Sglang => format!("{:.7}-TP-{rank}.trace.json.gz", now.as_secs_f64()),
            _ => format!("rank{rank}.{}.pt.trace.json.gz", now.as_nanos()),
        };
        let path = folder.join(name);
        let file = BufWriter::new(File::create(&path)?);
        let mut packed = GzEncoder::new(file, Compression::fast());
        write_trace(&spec, rank, BufWriter::with_capacity(1 << 18, &mut packed))?;
        let file = packed
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        if config.faults.contains(&PlannedFault::CutTrace) {
            file.set_len(file.metadata()?.len() / 2)?;
        }
        file.sync_all()?;
        paths.push(path);
    }
    Ok(paths)
}

fn spec(config: &SimConfig, steps: &[Recorded]) -> TraceSpec {
    let first = steps.first().map_or(0, |step| step.start);
    let accepted = config.cost.accept_length.unwrap_or(1.0).ceil() as u32;
    let profile = &config.profile;
    let shape = ModelShape::of(profile.architecture, profile.layers);
    TraceSpec {
        dialect: config.dialect,
        shape: shape.with_ranks(config.accepted.tp_size.unwrap_or(1).clamp(1, 8)),
        launch: if profile.disable_cuda_graph {
            Launch::Eager
        } else {
            Launch::Graph
        },
        stacks: true,
        seed: config.seed,
        passes: steps
            .iter()
            .map(|step| PassSpec {
                prefills: step.prefills,
                prefill_tokens: step.work.prefill_tokens,
                decodes: step.work.decode_batch,
                tokens_per_decode: accepted,
                start_ns: Some((step.start - first) as i64),
                gpu_ns: Some((step.end - step.start) as i64),
            })
            .collect(),
    }
}
