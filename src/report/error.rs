//! What can go wrong with a report.

use std::path::PathBuf;

use crate::bench::RowsError;
use crate::campaign::CampaignError;
use crate::chart::ChartError;
use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{} is no campaign and holds no candidates.jsonl", path.display())]
    NothingHere { path: PathBuf },
    #[error("{} holds no row of a benchmark", path.display())]
    NoRows { path: PathBuf },
    #[error("the rows hold no framework `{target}`; they hold {}", known.join(", "))]
    UnknownTarget { target: String, known: Vec<String> },
    #[error("a picture could not be drawn: {0}")]
    Chart(#[from] ChartError),
    #[error(transparent)]
    Rows(#[from] RowsError),
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<ReportError> for Fault {
    fn from(error: ReportError) -> Self {
        let message = error.to_string();
        match error {
            ReportError::NothingHere { path } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "name a campaign (id or folder), the output folder of `sota-loop bench`, or a candidates.jsonl",
            )
            .with_evidence(path.display().to_string()),
            ReportError::NoRows { path } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "wait for the first row of its job, or run `sota-loop bench plan.yaml`",
            )
            .with_evidence(path.display().to_string()),
            ReportError::UnknownTarget { .. } => {
                Fault::new(FaultCode::InvalidArgument, message, "name one of them with --target")
            }
            ReportError::Chart(_) => Fault::new(
                FaultCode::Internal,
                message,
                "this is a defect of sota-loop; please report it",
            ),
            ReportError::Rows(RowsError::Disk(error)) | ReportError::Disk(error) => error.into(),
            ReportError::Rows(RowsError::Damaged { path, .. }) => Fault::new(
                FaultCode::InvalidInput,
                message,
                "restore the file, or remove the line",
            )
            .with_evidence(path.display().to_string()),
            ReportError::Campaign(error) => error.into(),
        }
    }
}
