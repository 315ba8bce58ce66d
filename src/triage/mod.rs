//! What a serving engine's profiler trace says: where the time of prefill and
//! decode goes, which source it comes from, and what could be saved.
//!
//! [`analyze`] reads one trace or a folder of them and gives back a
//! [`TriageRecord`]: for each stage its steps, wall accounts and idle time by
//! cause, the kernel, overlap and fusion tables, and, where a second engine's
//! trace is named, both side by side. [`write_report`] puts it on disk as
//! `report.md` and `report.json`.
//!
//! # Definitions
//!
//! * A kernel belongs to the *step* whose annotation encloses its launch, on
//!   the launching thread; see [`Steps`](crate::trace::Steps).
//! * A step's *wall* runs from the end of the step before it (decode and
//!   mixed steps) or from its own first GPU work (prefill) to its last GPU
//!   work. *Busy* is the union over all streams of one device. What is not
//!   busy is idle, and every idle stretch is counted under one cause.
//! * A kernel's *share* is its summed duration in a stage over that of all
//!   kernels of the stage; copies and fills are accounted for in the wall.
//! * The kernels of a replayed CUDA graph were not launched from the replay's
//!   call site. They are matched by order with an eager pass (of the same
//!   file, the mapping trace or a capture-time trace); every location says
//!   which, and how far to believe it.

mod align;
mod analyze;
mod attribute;
mod compare;
mod error;
mod frame;
mod fusion;
mod input;
mod kernel;
mod loaded;
mod ranks;
mod record;
mod report;
mod role;
mod site;
mod stage;
mod summary;
mod tables;
mod timeline;
mod units;
mod wall;

use crate::references::Replaceable;
pub use analyze::analyze;
pub use attribute::{Confidence, SiteMethod};
pub use error::TriageError;
pub use record::{
    Advice, Bubble, BubbleCause, ClassComparison, CollectiveRow, CompareSide, Dependency,
    FileRecord, FileRole, FusionEvidence, FusionRow, FusionStatus, Holder, KernelRow, Location,
    OpClass, OverlapRow, RankSkew, ShapeRecord, StageComparison, StageRecord, TriageRecord,
    TriageRequest, Winner,
};
pub use report::{ReportPaths, render_markdown, write_report};

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[
    Replaceable::new("fusion-patterns.toml", |_| fusion::PATTERNS.problem()),
    Replaceable::new("source-sites.toml", |_| frame::SITES.problem()),
];
