//! The two hooks of `sota-loop gate`: after a tool call, and when a conversation
//! wants to end.

use std::path::Path;

use serde::Serialize;

use super::conversation::Conversation;
use super::error::RlcrError;
use super::hook_input::{HookEvent, HookInput};
use super::rounds;
use super::stop_gate::{Decision, LoopPhase, RunningJob, Standing, decide};
use super::touched::touched;
use crate::campaign::events::LoopRuntime;
use crate::campaign::{self, Campaign, Phase, State};
use crate::job::JobFolder;

/// What a hook prints; both hosts read these names. Nothing to say is `{}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HookOutput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(rename = "systemMessage", skip_serializing_if = "Option::is_none")]
    pub system_message: Option<String>,
}

impl HookOutput {
    fn block(reason: String) -> Self {
        Self {
            decision: Some("block"),
            reason: Some(reason),
            system_message: None,
        }
    }

    /// Lets go, and tells the user why where there is something to tell.
    pub fn let_go(message: Option<String>) -> Self {
        Self {
            system_message: message,
            ..Self::default()
        }
    }
}

/// Answers one hook call. An error means that the gate is itself broken: the
/// caller lets go and says so.
pub fn answer(
    input: &HookInput,
    state_dir: &Path,
    project: Option<&Path>,
) -> Result<HookOutput, RlcrError> {
    if input.session_id.is_empty() {
        return Ok(HookOutput::default());
    }
    match input.hook_event_name {
        HookEvent::PostToolUse => {
            if let Some(campaign) = touched(input, project) {
                let mut conversation = Conversation::load(state_dir, &input.session_id)?;
                if conversation.touch(&campaign.root) {
                    conversation.save(state_dir)?;
                }
            }
            Ok(HookOutput::default())
        }
        HookEvent::Stop => stop(input, state_dir),
        HookEvent::Other => Ok(HookOutput::default()),
    }
}

fn stop(input: &HookInput, state_dir: &Path) -> Result<HookOutput, RlcrError> {
    let mut conversation = Conversation::load(state_dir, &input.session_id)?;
    let standings = conversation
        .campaigns
        .iter()
        .map(|touched| Campaign::at(&touched.root))
        // A campaign whose folder was removed holds nobody.
        .filter(|campaign| campaign.log().path().is_file())
        .map(|campaign| standing(&campaign))
        .collect::<Result<Vec<_>, _>>()?;
    let before = conversation.clone();
    let decision = decide(input, &mut conversation, &standings);
    if conversation != before {
        conversation.save(state_dir)?;
    }
    Ok(match decision {
        Decision::Block { reason } => HookOutput::block(reason),
        Decision::LetGo { why, message } => {
            tracing::debug!(?why, "the conversation may end");
            HookOutput::let_go(message)
        }
    })
}

/// Where a campaign stands, as the stop gate sees it.
fn standing(campaign: &Campaign) -> Result<Standing, RlcrError> {
    let state = campaign.state()?;
    let phase = match state.phase() {
        Phase::Paused => LoopPhase::Paused,
        Phase::Finished => LoopPhase::Finished,
        Phase::Loop => LoopPhase::Running,
        Phase::Baseline | Phase::Sealed => LoopPhase::NotStarted,
    };
    let running = phase == LoopPhase::Running;
    let jobs = if running {
        jobs(campaign, &state)
    } else {
        Vec::new()
    };
    let humanize_active = running && humanize_active(&state);
    let quiet = !running || !jobs.is_empty() || humanize_active;
    let (missing, next) = if quiet {
        Default::default()
    } else {
        outlook(campaign, &state)
    };
    Ok(Standing {
        id: campaign.id.clone(),
        root: campaign.root.clone(),
        phase,
        round: state.round(),
        last_event: state.events,
        jobs,
        humanize_active,
        next,
        missing,
    })
}

fn outlook(campaign: &Campaign, state: &State) -> (Vec<String>, String) {
    if !state.in_loop() {
        let next = format!(
            "campaign {{\"action\": \"start_loop\", \"campaign\": \"{}\"}}",
            campaign.root.display()
        );
        return (
            vec!["the loop's runtime has ended without an allowed stop".to_owned()],
            next,
        );
    }
    let status = campaign::status_of(campaign, state);
    (status.missing, status.next)
}

/// Jobs of the campaign that have not ended.
fn jobs(campaign: &Campaign, state: &State) -> Vec<RunningJob> {
    state
        .pending_jobs()
        .iter()
        .filter_map(|pending| {
            let folder = JobFolder {
                id: pending.id.to_owned(),
                dir: campaign.root.join("jobs").join(pending.id),
            };
            let status = folder.status().ok()?;
            (!status.state.is_final()).then(|| RunningJob {
                id: folder.id.clone(),
                eta_s: status.progress.eta_s,
                follow: follow(pending.kind, &folder.id),
            })
        })
        .collect()
}

fn follow(kind: campaign::JobKind, id: &str) -> String {
    let tool = match kind {
        campaign::JobKind::Benchmark => "run_benchmark",
        campaign::JobKind::Capture => "profile",
        campaign::JobKind::Checks => "update_ledger",
    };
    format!("{tool} {{\"job_id\": \"{id}\", \"wait_s\": 240}}")
}

/// Whether Humanize's own state says that its loop goes on.
fn humanize_active(state: &State) -> bool {
    state.current_loop().is_some_and(|present| {
        present.body.runtime == LoopRuntime::Humanize && rounds::is_active(&present.body.state_path)
    })
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
