//! The seal: workload, SLA, frameworks and winners, fixed at the first
//! `start_loop`; and the plan of a revalidation, which is made from it.

mod make;
mod revalidate;

pub(super) use make::plans;
pub use make::seal;
pub use revalidate::{Changes, revalidation};

use serde::{Deserialize, Serialize};

use super::events::Sealed;
use super::state::Recorded;
use super::{Campaign, CampaignError};
use crate::bench::plan::Plan;
use crate::bench::{Candidate, SealedCommand, SealedCommands};
use crate::gap::SealedLeader;
use crate::{disk, sha256};

/// `benchmark/seal.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealFile {
    pub workload_sha256: String,
    pub metric: String,
    /// The plan of the deciding job.
    pub plan: Plan,
    /// Every framework's winners with their flags; of the target the best first.
    pub candidates: Vec<Candidate>,
    pub leaders: Vec<SealedLeader>,
    pub targets: Vec<SealedLeader>,
}

/// The seal's file, which must be what was sealed.
pub fn read(campaign: &Campaign, sealed: &Recorded<Sealed>) -> Result<SealFile, CampaignError> {
    let path = campaign.root.join("benchmark/seal.json");
    let broken = |problem: String| CampaignError::SealBroken {
        path: path.clone(),
        problem,
    };
    let bytes = disk::read(&path)?;
    let recorded = sealed.files.iter().find(|file| file.path == path);
    if recorded.is_none_or(|file| file.sha256 != sha256::hex(&bytes)) {
        return Err(broken("its content is not what was sealed".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))
}

/// The commands that a campaign has sealed; none before the seal.
pub fn commands(campaign: &Campaign) -> Result<Option<SealedCommands>, CampaignError> {
    let state = campaign.state()?;
    let Some(sealed) = &state.seal else {
        return Ok(None);
    };
    let file = read(campaign, sealed)?;
    let command = |side: &SealedLeader| {
        let mut candidates = file.candidates.iter();
        let candidate = candidates.find(|candidate| {
            candidate.framework == side.framework && candidate.id == side.candidate_id
        })?;
        Some(SealedCommand {
            scenario: side.scenario.clone(),
            request_rate: side.request_rate,
            max_concurrency: side.max_concurrency.map(|most| most as u32),
            candidate: candidate.clone(),
        })
    };
    Ok(Some(SealedCommands {
        commands: file
            .targets
            .iter()
            .chain(&file.leaders)
            .filter_map(command)
            .collect(),
        plan: file.plan,
    }))
}
