//! What stops a benchmark as a whole; a candidate's failure is a row instead.

use std::path::PathBuf;

use super::import::ImportError;
use super::plan::PlanError;
use super::rows_file::RowsError;
use super::workload::WorkloadError;
use crate::disk::DiskError;
use crate::engine::EngineError;
use crate::fault::{Fault, FaultCode};
use crate::job::JobError;
use crate::launch::{LaunchError, Occupant};
use crate::source_state::SourceError;

#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Another host could not be asked.
    #[error("{}", .0.message)]
    Host(Fault),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Rows(RowsError),
    #[error("the GPUs of the plan are in use: {}", list(occupants))]
    GpuBusy { occupants: Vec<Occupant> },
    #[error("a framework could not be looked at: {0}")]
    Inspection(String),
    #[error("max_wall_s passed while another job held the GPUs")]
    QueuedTooLong,
    #[error("the job's own record cannot be read: {0}")]
    Result(serde_json::Error),
    #[error("the plan has no framework `{0}`")]
    NoSuchFramework(String),
    #[error("{} has no good run of {}; it has: {}", rows.display(), what(framework, scenario.as_deref()), or_nothing(measured))]
    NoWinner {
        rows: PathBuf,
        framework: String,
        scenario: Option<String>,
        measured: Vec<String>,
    },
    #[error("the plan of job {job} cannot be read: {reason}")]
    PlanGone { job: String, reason: String },
    #[error(
        "the command of {framework} {candidate} is not the one that was measured: {difference}"
    )]
    CommandChanged {
        framework: String,
        candidate: String,
        difference: String,
    },
    #[error("the output folder {} is not absolute", .0.display())]
    RelativeOutput(PathBuf),
}

fn what(framework: &str, scenario: Option<&str>) -> String {
    match scenario {
        Some(scenario) => format!("{framework} in scenario {scenario}"),
        None => framework.to_owned(),
    }
}

fn or_nothing(measured: &[String]) -> String {
    if measured.is_empty() {
        "nothing".to_owned()
    } else {
        measured.join(", ")
    }
}

/// Who holds which GPU, for messages.
pub fn list(occupants: &[Occupant]) -> String {
    occupants
        .iter()
        .map(|occupant| {
            let user = occupant.user.as_deref().unwrap_or("unknown user");
            let memory = occupant
                .memory_mib
                .map_or_else(|| "unknown memory".to_owned(), |mib| format!("{mib} MiB"));
            let uuid = occupant.uuid.as_deref().unwrap_or("no UUID");
            format!(
                "GPU {} ({uuid}): pid {} ({user}, {memory})",
                occupant.gpu, occupant.pid
            )
        })
        .collect::<Vec<_>>()
        .join("; ")
}

impl From<BenchError> for Fault {
    fn from(error: BenchError) -> Self {
        let message = error.to_string();
        match error {
            BenchError::Plan(error) => error.into(),
            BenchError::Engine(error) => error.into(),
            BenchError::Launch(error) => error.into(),
            BenchError::Import(error) => error.into(),
            BenchError::Source(error) => error.into(),
            BenchError::Host(fault) => fault,
            BenchError::Job(error) => error.into(),
            BenchError::Disk(error) => error.into(),
            BenchError::Workload(error) => Fault::new(
                FaultCode::InvalidPlan,
                error.to_string(),
                "see dataset in the plan; docs/plan.md has the formats",
            ),
            BenchError::Rows(RowsError::Damaged { path, line, .. }) => Fault::new(
                FaultCode::InvalidInput,
                message,
                "rows are evidence: restore the line, or give another output_dir",
            )
            .with_evidence(format!("{}:{line}", path.display())),
            BenchError::Rows(RowsError::Disk(error)) => error.into(),
            BenchError::GpuBusy { .. } => Fault::new(
                FaultCode::GpuBusy,
                message,
                "end those processes, name other GPUs in hardware.gpu_ids, or let the job wait: timeouts.wait_for_gpu_s",
            )
            .retryable(),
            BenchError::QueuedTooLong => Fault::new(
                FaultCode::GpuBusy,
                message,
                "wait for the other job, then give the plan again",
            )
            .retryable(),
            BenchError::Result(_) | BenchError::NoSuchFramework(_) => Fault::new(
                FaultCode::JobTampered,
                message,
                "remove the job folder and give the plan again",
            ),
            BenchError::NoWinner { rows, .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "run_benchmark measures it; or name a framework and scenario that were measured",
            )
            .with_evidence(rows.display().to_string()),
            BenchError::PlanGone { .. } => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "give the plan that was measured",
            ),
            BenchError::CommandChanged { .. } => Fault::new(
                FaultCode::InvalidPlan,
                message,
                "give the plan as it was measured, or measure the new one first",
            ),
            BenchError::Inspection(_) => Fault::new(
                FaultCode::Internal,
                message,
                "give the plan again; report it if it comes back",
            )
            .retryable(),
            BenchError::RelativeOutput(_) => Fault::new(
                FaultCode::InvalidArgument,
                message,
                "give an absolute workspace, or an absolute search.output_dir",
            ),
        }
    }
}
