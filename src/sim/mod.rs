//! The simulated engine: an OpenAI-compatible server with a stated cost model.
//!
//! It answers like SGLang, vLLM or a plain OpenAI-compatible server, and takes
//! as long as its [`CostModel`] says, so that benchmarks, gaps and failures can
//! be shown and tested without a GPU. The core is a pure state machine in
//! virtual time ([`Scheduler`]); a thread runs it against the clock, and an
//! HTTP/1.1 server carries its tokens. `docs/simulated-engine.md` states the
//! model.

mod api_error;
mod app;
mod calendar;
mod config;
mod cost;
mod dialect;
mod driver;
mod error;
mod log;
mod metrics;
mod offline;
mod planned_fault;
mod prefix_cache;
mod profile;
mod profile_routes;
mod reply;
mod request;
mod routes;
mod scheduler;
mod sequence;
mod server;
mod startup;
mod stream;
#[cfg(test)]
mod tests;
mod text;
pub mod trace;

pub use config::{AcceptedFlags, CostFlags, LimitFlags, ProfileFlags, SimConfig, StreamFlags};
pub use cost::{
    CostModel, DecodeCost, HostCost, KvPolicy, Limits, Noise, Output, PrefillCost, Schedule, Work,
};
pub use dialect::Dialect;
pub use error::SimError;
pub use log::Sink;
pub use offline::{Ask, Client, OfflineRun, Served, run_offline};
pub use planned_fault::{FAULT_NAMES, PlannedFault};
pub use scheduler::{Levels, Nanos, Next, Scheduler, Step};
pub use sequence::{Emission, Finish, Submission};
pub use server::{Server, serve};

/// How a simulated engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By a signal or on request.
    Stopped,
    /// Planned: out of GPU memory.
    OutOfMemory,
    /// Planned: without a word.
    Crashed,
    /// Another process began to listen on its port while it loaded.
    PortTaken,
}

impl Exit {
    /// Exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::OutOfMemory | Self::PortTaken => 1,
            // As a shell shows a process that died of SIGSEGV.
            Self::Crashed => 139,
        }
    }
}
