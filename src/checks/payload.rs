//! `spec.json` of a checks job.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ChecksError;
use crate::bench::Candidate;
use crate::bench::plan::{ExecutorKind, Plan};
use crate::job::{self, Submission};
use crate::sha256;

/// The job kind of checks.
pub const KIND: &str = "checks";

/// What a checks job does: everything is decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChecksPayload {
    /// Root of the campaign.
    pub campaign: PathBuf,
    /// The attempt; none records the outputs of a base tree.
    pub attempt: Option<String>,
    pub checkout: PathBuf,
    pub commit: String,
    pub tree: String,
    /// Commands, run in the checkout.
    pub tests: Vec<Vec<String>>,
    /// The outputs to agree with; none where these are the first.
    pub reference: Option<PathBuf>,
    pub min_matched_share: f64,
    /// The target's server as it was measured.
    pub plan: Box<Plan>,
    pub candidate: Candidate,
    /// On another host: the kind of executor that brought it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_of: Option<ExecutorKind>,
}

/// Starts the checks, or finds the same ones running or done.
pub fn submit(payload: &ChecksPayload, nonce: Option<&str>) -> Result<Submission, ChecksError> {
    let value = json!(payload);
    let key = sha256::hex(format!("{value}{}", nonce.unwrap_or_default()).as_bytes());
    Ok(job::submit(
        &jobs_dir(&payload.campaign),
        KIND,
        &key,
        value,
    )?)
}

fn jobs_dir(campaign: &Path) -> PathBuf {
    campaign.join("jobs")
}

pub fn payload_of(value: Value) -> Result<ChecksPayload, ChecksError> {
    serde_json::from_value(value).map_err(ChecksError::Spec)
}
