//! Torch-profiler traces of simulated passes, with the truth about them.
//!
//! [`write_trace`] lays kernels of a stated model shape on the host's and the
//! GPU's timelines and writes the JSON that the profiler of SGLang or vLLM
//! would, so that readers of traces can be tested against known passes and
//! layers. Times in [`TruePass`] are nanoseconds after the trace's start.

mod catalog;
mod kineto;
mod pass;
mod shape;
#[cfg(test)]
mod tests;
mod timeline;

use std::io::{self, Write};

pub use pass::{PassSpec, PassStage};
pub use shape::{Architecture, Layer, Mixer, Mlp, ModelShape};

use super::Dialect;
use timeline::Timeline;

/// How kernels reach the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// Each by an operator of its own.
    Eager,
    /// Decode passes by one graph. Prefill in pieces on SGLang, eager on vLLM.
    Graph,
    /// Graphs between the attentions, which are eager.
    Piecewise,
}

/// What to trace.
#[derive(Debug, Clone)]
pub struct TraceSpec {
    pub dialect: Dialect,
    pub shape: ModelShape,
    pub launch: Launch,
    /// Whether Python frames are recorded.
    pub stacks: bool,
    /// Varies kernel times by up to 2%.
    pub seed: u64,
    pub passes: Vec<PassSpec>,
}

/// What really happened in a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct TruePass {
    pub stage: PassStage,
    pub annotation: String,
    /// Kernels from its first to its last, without sampling.
    pub kernels: usize,
    pub start_ns: i64,
    pub end_ns: i64,
    pub layers: Vec<TrueLayer>,
}

/// What really happened in a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct TrueLayer {
    pub index: usize,
    /// [`Layer::kind`].
    pub kind: String,
    /// Position of its first kernel in the pass.
    pub first_kernel: usize,
    pub kernels: usize,
    pub start_ns: i64,
    pub end_ns: i64,
    /// Sum of its kernels' times.
    pub sum_ns: i64,
}

/// Writes the trace of one rank as JSON and returns the truth about its passes.
pub fn write_trace(spec: &TraceSpec, rank: u32, out: impl Write) -> io::Result<Vec<TruePass>> {
    let catalog = catalog::catalog()
        .ok_or_else(|| io::Error::other("the catalogue of simulated kernels is unreadable"))?;
    let mut timeline = Timeline::begin(spec, catalog, rank, out)?;
    let mut passes = Vec::with_capacity(spec.passes.len());
    for (ordinal, pass) in spec.passes.iter().enumerate() {
        passes.push(timeline.pass(pass, ordinal as u64)?);
    }
    timeline.end()?;
    Ok(passes)
}
