//! One fair benchmark: plan, candidates, workload, load, metrics, rows, summary.
//!
//! [`start`] checks a plan and submits it as a job; the job's supervisor calls
//! [`run`]; [`record`] tells how far it is. A candidate that fails is a row
//! with its reason, never the end of the job.

mod candidate;
mod container;
mod cost;
mod error;
mod failure;
mod fairness;
mod foreseen;
pub(crate) mod gpus;
pub mod import;
mod imported;
mod installation;
mod launching;
mod lineup;
mod live_run;
pub mod load;
mod max_load;
mod measure;
pub mod metrics;
mod model_files;
pub mod plan;
mod preparation;
mod prompts;
mod ranking;
mod record;
pub mod remote;
mod request;
mod row;
mod row_place;
mod row_writer;
mod rows_file;
mod rows_written;
mod runner;
mod server;
mod session;
mod source;
mod summary;
pub mod timeline;
mod warmup;
mod watch;
mod winner;
pub mod workload;

pub use candidate::{Candidate, candidates_of};
pub(crate) use container::container_of;
pub use cost::Cost;
pub use error::BenchError;
pub(crate) use failure::RunFailure;
pub use imported::{ImportFile, ImportRecord, ImportRequest, ImportedRow, import_results};
pub(crate) use launching::{Sources, ready_sources};
pub use live_run::LiveRun;
pub use max_load::{MaxLoad, Trial};
pub use prompts::TokenIds;
pub use ranking::{Standing, standings};
pub use record::{BenchRecord, BriefRow, record};
pub(crate) use request::source_states;
pub use request::{BenchPayload, KIND, Place, Started, cost, plan_from, start};
pub use row::{Row, RowSource, RowStatus};
pub(crate) use row_place::given_gpus;
pub use rows_file::{RowsError, of_all, of_job};
pub use rows_written::{RowCount, RowsWritten};
pub use runner::{payload_of, run};
pub(crate) use server::{Server, ServerSpec, drive, engine_of};
pub use session::Phase;
pub use winner::{MeasuredVersion, SealedCommand, SealedCommands, Winner, WinnerQuery, winner};

use serde::{Deserialize, Serialize};

use crate::references::Replaceable;

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[Replaceable::new("timeline-sources.toml", |_| {
    timeline::SOURCES.problem()
})];

/// `result.json` of a benchmark job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchResult {
    /// The best candidate of each scenario and load.
    pub winners: Vec<Standing>,
    /// The highest rate of each framework's winner, where the plan asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub max_load: Vec<MaxLoad>,
    /// Servers launched, which stands beside the number of repeats.
    pub launches: u32,
    /// The lines of the job in the rows' file, as it wrote them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsWritten>,
    pub wall_s: f64,
    pub warnings: Vec<String>,
}
