//! Passes, layers and layer types, found from the trace itself.
//!
//! No kernel is an anchor by name. Passes are the steps that the engine
//! annotated, or else what lies between graph launches and sampling kernels
//! ([`crate::trace::Steps`]). Within a pass, layers are the repeats in the
//! sequence of its kernels ([`layering`]); layers are of one type when they
//! run the same kernels ([`types`]). The model's `config.json` names and
//! checks what was found and never drives it.
//!
//! [`analyze`] gives a [`PipelineRecord`]; [`render`] is its Markdown.

mod analyze;
mod choose;
mod compare;
mod config;
mod error;
mod flow;
mod label;
mod layer;
mod layering;
mod parallel;
mod pass;
mod perfetto;
mod record;
mod report;
mod request;
mod search;
mod steady;
mod summary;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod tests;
mod types;
mod units;

pub use analyze::{analyze, analyze_trace};
pub use error::PipelineError;
pub use record::{
    Change, ChosenPass, Comparison, ConfigCheck, DiffRow, FlowRow, HotKernel, LayerFlow, LayerRow,
    LayerType, PassRow, PassState, PerfettoRange, PipelineRecord, Totals,
};
pub use report::render;
pub use request::{Auto, PassChoice, PipelineRequest};
pub use summary::shorten;
