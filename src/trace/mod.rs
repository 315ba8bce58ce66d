//! Reading `torch.profiler` (Kineto) traces into columns.
//!
//! [`read`] takes a `.json`, `.json.gz` (one or many members) or `.json.zst`
//! file and gives back a [`Trace`]: one table for each kind of event, one
//! column for each field, strings stored once and named by [`NameId`]. The
//! file is unpacked on a thread of its own and scanned block by block, so
//! that memory follows from the columns that are kept and not from the size
//! of the file.
//!
//! # The tables
//!
//! | table | rows | sorted by |
//! |---|---|---|
//! | [`Trace::gpu`] | kernels, copies and fills on GPU streams | start |
//! | [`Trace::launches`] | CUDA runtime and driver calls | thread, start |
//! | [`Trace::ops`] | framework operators (`aten::mm`) | thread, start |
//! | [`Trace::annotations`] | annotations made on the CPU (`step[DECODE bs=4]`) | thread, start |
//! | [`Trace::gpu_annotations`] | the same, projected onto streams | start |
//! | [`Trace::frames`] | Python frames | thread, start |
//!
//! A row is a position in every column of its table; where one table points
//! into another it does so by a typed index ([`LaunchIndex`], [`SpanIndex`]).
//! `gpu.launch[row]` is the call that caused the GPU work of a row: for the
//! kernels of a replayed CUDA graph that is one `cudaGraphLaunch` for all.
//!
//! # Time
//!
//! Times are whole nanoseconds (`i64`) on the trace's own clock. The file
//! writes microseconds with three decimals, which an `f64` cannot hold
//! exactly at usual magnitudes; the decimals are read as integers, so nothing
//! is rounded. `meta.base_time_ns` plus a time is Unix time.
//!
//! # What is tolerated
//!
//! Control characters and bad UTF-8 in names, `NaN` and missing durations,
//! events out of order, unknown phases and keys, damaged stretches, and files
//! that end early: each is counted in [`Trace::warnings`]. A file that is no
//! trace, or from which no event can be read, is a [`TraceError`].

mod build;
mod category;
mod document;
mod error;
mod event;
mod file_name;
mod gpu;
mod index;
mod launch;
mod meta;
mod name;
mod order;
mod scan;
mod source;
mod span;
mod step;
mod strings;
mod thread;
mod warning;
mod window;

use std::path::Path;

pub use category::{CategoryColumn, KernelCategory, categorize};
pub use error::TraceError;
pub use file_name::{is_trace_name, rank_of};
pub use gpu::{Collective, GpuAnnotationTable, GpuKind, GpuTable};
pub use index::{LaunchIndex, NameId, SpanIndex, StepIndex, ThreadId};
pub use launch::LaunchTable;
pub use meta::{Device, Distributed, Metadata};
pub use name::{canonical, short};
pub use source::unpack_only;
pub use span::SpanTable;
pub use step::{Stage, Step, StepShape, StepSource, Steps};
pub use strings::StringTable;
pub use thread::ThreadTable;
pub use warning::TraceWarning;

use crate::references::Replaceable;

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[
    Replaceable::new("kernel-categories.toml", |_| category::CATEGORIES.problem()),
    Replaceable::new("step-annotations.toml", |_| step::ANNOTATIONS.problem()),
];

/// Which of the larger tables to keep.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Keep Python frames, most of a trace's events when stacks were recorded.
    pub python_frames: bool,
    /// Keep framework operators.
    pub cpu_ops: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            python_frames: true,
            cpu_ops: true,
        }
    }
}

/// A trace as columnar tables.
#[derive(Debug, Default)]
pub struct Trace {
    pub strings: StringTable,
    pub threads: ThreadTable,
    pub meta: Metadata,
    pub gpu: GpuTable,
    pub launches: LaunchTable,
    pub ops: SpanTable,
    pub annotations: SpanTable,
    pub gpu_annotations: GpuAnnotationTable,
    pub frames: SpanTable,
    /// Start of the earliest event, kept or not: where viewers put their zero.
    pub first_ns: Option<i64>,
    pub counts: EventCounts,
    pub warnings: Vec<TraceWarning>,
}

/// How many events of each kind the file held, kept or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventCounts {
    pub events: u64,
    pub kernels: u64,
    /// Copies and fills.
    pub copies: u64,
    pub launches: u64,
    pub cpu_ops: u64,
    pub python_frames: u64,
    /// On the CPU and on the GPU.
    pub annotations: u64,
    pub flows: u64,
}

impl Trace {
    /// The string behind a handle.
    pub fn text(&self, id: NameId) -> &str {
        self.strings.get(id)
    }
}

/// Reads a trace file.
///
/// # Errors
///
/// [`TraceError`] when the file cannot be opened, is packed in an unknown
/// way, is no trace, or breaks before its first event.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Trace, TraceError> {
    let blocks = source::Blocks::open(path)?;
    let mut builder = build::Builder::new(options);
    document::read_document(path, window::Window::new(blocks), &mut builder)?;
    Ok(builder.finish())
}
