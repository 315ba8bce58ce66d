//! A trace with what every later step needs to know of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::kernel::{KernelId, Kernels};
use crate::trace::{
    self, CategoryColumn, GpuKind, KernelCategory, LaunchIndex, ReadOptions, Stage, StepSource,
    Steps, Trace, TraceError,
};

/// A graph replay with at least this many kernels is a whole forward pass.
pub(super) const FULL_REPLAY_KERNELS: usize = 64;

/// One trace file, read, split into steps and numbered.
pub(super) struct Loaded {
    pub path: PathBuf,
    pub trace: Trace,
    pub steps: Steps,
    kernel_of_name: Vec<KernelId>,
    categories: CategoryColumn,
    /// GPU rows, in order of start, of each launch that replayed a graph.
    pub replays: HashMap<LaunchIndex, Vec<u32>>,
}

impl Loaded {
    pub fn read(
        path: &Path,
        hint: Option<Stage>,
        kernels: &mut Kernels,
    ) -> Result<Self, TraceError> {
        let trace = trace::read(path, &ReadOptions::default())?;
        let categories = CategoryColumn::new(&trace);
        let steps = Steps::new(&trace, &categories, hint);
        let kernel_of_name = kernels.number(&trace);
        let replays = replays(&trace);
        Ok(Self {
            path: path.to_path_buf(),
            trace,
            steps,
            kernel_of_name,
            categories,
            replays,
        })
    }

    /// The kernel of a GPU row.
    pub fn kernel(&self, row: usize) -> KernelId {
        self.kernel_of_name[self.trace.gpu.name[row].row()]
    }

    /// The category of a row that is a kernel.
    pub fn category(&self, row: usize) -> KernelCategory {
        self.categories.of(self.trace.gpu.name[row])
    }

    pub fn is_kernel(&self, row: usize) -> bool {
        self.trace.gpu.kind[row] == GpuKind::Kernel
    }

    /// Whether a row's work was launched as part of a graph.
    pub fn is_replayed(&self, row: usize) -> bool {
        self.trace.gpu.launch[row].is_some_and(|launch| self.replays.contains_key(&launch))
    }

    /// The engine that wrote the trace, as far as it shows.
    pub fn engine(&self) -> Option<&str> {
        if let Some(engine) = self.steps.engine.as_deref() {
            return Some(engine);
        }
        let text = self.path.to_string_lossy().to_lowercase();
        let process = self
            .trace
            .meta
            .process_names
            .values()
            .map(|&name| self.trace.text(name).to_lowercase());
        let words: Vec<String> = process.chain([text]).collect();
        ["sglang", "vllm", "tensorrt-llm", "tokenspeed"]
            .into_iter()
            .find(|engine| words.iter().any(|word| word.contains(engine)))
            .or_else(|| {
                words
                    .iter()
                    .any(|word| word.contains("trtllm"))
                    .then_some("tensorrt-llm")
            })
    }
}

fn replays(trace: &Trace) -> HashMap<LaunchIndex, Vec<u32>> {
    let graph: Vec<bool> = trace
        .strings
        .iter()
        .map(|(_, text)| text.contains("GraphLaunch"))
        .collect();
    let mut replays: HashMap<LaunchIndex, Vec<u32>> = HashMap::new();
    for row in 0..trace.gpu.len() {
        let Some(launch) = trace.gpu.launch[row] else {
            continue;
        };
        let name = trace.launches.name[launch.row()];
        if graph.get(name.row()).copied().unwrap_or(false) {
            replays.entry(launch).or_default().push(row as u32);
        }
    }
    replays
}

impl Loaded {
    /// What a reader of the results should keep in mind about this trace.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.trace.gpu.is_empty() {
            return doubts;
        }
        match self.steps.source {
            StepSource::Annotation => {}
            StepSource::Folder => doubts.push(
                "no step is annotated; steps were cut at sampling kernels and graph replays, and the stage is the folder's".into(),
            ),
            StepSource::Kernels => doubts.push(
                "no step is annotated; steps were cut at sampling kernels and graph replays, and the stage was told from kernel names".into(),
            ),
            StepSource::None => doubts.push("no step could be told".into()),
        }
        if self.trace.frames.is_empty() {
            doubts.push("it has no Python frames, so no kernel has a traced source site".into());
        }
        let childless = self.replays_without_kernels();
        if childless > 0 {
            doubts.push(format!(
                "{childless} graph replays have no kernels in it, so idle time and shares are not reliable"
            ));
        }
        let mut devices: Vec<u32> = self.trace.gpu.device.clone();
        devices.sort_unstable();
        devices.dedup();
        if devices.len() > 1 {
            doubts.push(format!(
                "it holds {} GPUs; the busiest is analysed",
                devices.len()
            ));
        }
        if let Some(ms) = self.full_replay_launch_ms() {
            doubts.push(format!(
                "the profiler makes the launch of a whole-pass graph take {ms:.1} ms; idle time before replays is not that of production"
            ));
        }
        doubts
    }

    fn replays_without_kernels(&self) -> usize {
        let launches = &self.trace.launches;
        (0..launches.len())
            .filter(|&row| self.trace.text(launches.name[row]).contains("GraphLaunch"))
            .filter_map(LaunchIndex::new)
            .filter(|launch| !self.replays.contains_key(launch))
            .count()
    }

    /// The median time that launching a whole-pass graph took.
    fn full_replay_launch_ms(&self) -> Option<f64> {
        let mut times: Vec<i64> = self
            .replays
            .iter()
            .filter(|(_, rows)| rows.len() >= FULL_REPLAY_KERNELS)
            .map(|(launch, _)| self.trace.launches.dur_ns[launch.row()])
            .collect();
        times.sort_unstable();
        times.get(times.len() / 2).map(|&ns| ns as f64 / 1e6)
    }
}
