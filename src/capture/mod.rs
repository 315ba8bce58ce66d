//! Profiler captures: an engine is launched again (or reached at a URL), warmed
//! up, recorded for a few steps of prefill or decode, and its traces analysed.
//!
//! [`start`] resolves a request to a command, lengths and folders, and submits
//! a job; the job's supervisor calls [`run`]; [`record`] tells how far it is
//! and, in the end, what the traces say. How an engine's profiler is driven is
//! data: `[profiler]` in `references/engines/*.toml`.
//!
//! A prefill is the scenario's input with one output token, one request at a
//! time; a decode is one input token with the scenario's output. Prompts are
//! token ids that no other request shares. A plan that names another host is
//! captured there, and its traces are copied back and analysed here. A mapping run repeats both with
//! CUDA graphs off, so that replayed kernels get their source lines.

mod analyse;
mod conclude;
mod digest;
mod error;
mod keep;
mod landing;
mod lengths;
mod load;
mod payload;
mod record;
mod remote;
mod request;
mod run;
mod space;
mod start;
mod target;

pub use error::CaptureError;
pub use lengths::Lengths;
pub use payload::{CapturePayload, KIND, ServerSource, payload_of};
pub use record::{CaptureRecord, CaptureResult, CaptureStatus, TraceFile, record};
pub use remote::conduct;
pub use request::{CaptureRequest, CapturedStage, Graphs, GraphsChoice, KeepTraces, StageChoice};
pub use run::run;
pub use start::{InCampaign, Place, start};
