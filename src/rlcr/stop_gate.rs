//! Whether a conversation may end now: the decision of the Stop hook.

use std::path::PathBuf;

use super::conversation::Conversation;
use super::hook_input::HookInput;

/// Blocks in a row without a new event, after which the conversation may end.
pub const MOST_BLOCKS: u32 = 3;

/// How far a campaign's loop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopPhase {
    /// No loop was ever started.
    NotStarted,
    /// Inside the loop, at no allowed stop.
    Running,
    Paused,
    /// Finished by an allowed outcome, abandoned included.
    Finished,
}

/// A job of the campaign that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningJob {
    pub id: String,
    pub eta_s: Option<f64>,
    /// The call that follows it.
    pub follow: String,
}

/// Where a campaign stands, as far as the stop gate needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub id: String,
    pub root: PathBuf,
    pub phase: LoopPhase,
    pub round: u32,
    /// Number of the log's last event.
    pub last_event: u64,
    pub jobs: Vec<RunningJob>,
    /// Humanize drives the loop, and its own state says that it goes on: its
    /// own Stop hook decides.
    pub humanize_active: bool,
    /// The next required step.
    pub next: String,
    pub missing: Vec<String>,
}

/// Why a conversation may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It touched no campaign that is inside its loop.
    NoLoop,
    Paused,
    Finished,
    JobRunning,
    BackgroundTasks,
    HumanizeDecides,
    /// Blocked often enough without anything happening.
    BlockedEnough,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    LetGo {
        why: Release,
        /// Shown to the user.
        message: Option<String>,
    },
    /// The reason becomes the agent's next instruction.
    Block { reason: String },
}

/// Decides for the conversation's campaigns, the one touched last first.
/// A block is counted in the conversation.
pub fn decide(
    input: &HookInput,
    conversation: &mut Conversation,
    standings: &[Standing],
) -> Decision {
    let let_go = |why, message| Decision::LetGo { why, message };
    let mut release = Release::NoLoop;
    let mut message = None;
    for standing in standings.iter().rev() {
        match standing.phase {
            LoopPhase::NotStarted => continue,
            LoopPhase::Paused => release = Release::Paused,
            LoopPhase::Finished => release = Release::Finished,
            LoopPhase::Running if !standing.jobs.is_empty() => {
                release = Release::JobRunning;
                message = Some(waiting(standing));
            }
            LoopPhase::Running if input.has_background_tasks() => {
                release = Release::BackgroundTasks;
            }
            LoopPhase::Running if standing.humanize_active => release = Release::HumanizeDecides,
            LoopPhase::Running => match count(conversation, standing) {
                before if before >= MOST_BLOCKS => {
                    release = Release::BlockedEnough;
                    message = Some(given_up(standing));
                }
                _ => {
                    return Decision::Block {
                        reason: reason(standing),
                    };
                }
            },
        }
    }
    let_go(release, message)
}

fn count(conversation: &mut Conversation, standing: &Standing) -> u32 {
    conversation
        .campaigns
        .iter_mut()
        .find(|touched| touched.root == standing.root)
        .map_or(0, |touched| touched.block(standing.last_event))
}

fn reason(standing: &Standing) -> String {
    let mut text = format!(
        "Campaign {} is in round {} of its loop and has reached no allowed stop. Next required step: {}",
        standing.id, standing.round, standing.next
    );
    if !standing.missing.is_empty() {
        text.push_str("\nMissing: ");
        text.push_str(&standing.missing.join("; "));
    }
    text.push_str(
        "\nOnly the user may stop here: then campaign {\"action\": \"pause\", \"reason\": \"...\"}. If nothing more can be done, campaign {\"action\": \"finish\"} says which evidence each outcome needs.",
    );
    text
}

fn waiting(standing: &Standing) -> String {
    let jobs: Vec<String> = standing
        .jobs
        .iter()
        .map(|job| {
            let left = match job.eta_s {
                Some(seconds) => {
                    format!("about {} left", humantime::format_duration(whole(seconds)))
                }
                None => "time left unknown".to_owned(),
            };
            format!("{} ({left}); return with {}", job.id, job.follow)
        })
        .collect();
    format!(
        "sota-loop: campaign {} waits for its job {}",
        standing.id,
        jobs.join(", and ")
    )
}

fn whole(seconds: f64) -> std::time::Duration {
    let seconds = if seconds.is_finite() {
        seconds.max(1.0)
    } else {
        1.0
    };
    std::time::Duration::from_secs(seconds.min(1e9) as u64)
}

fn given_up(standing: &Standing) -> String {
    format!(
        "sota-loop: campaign {} is still inside its loop (round {}), but {MOST_BLOCKS} reminders changed nothing. Next step when you return: {}",
        standing.id, standing.round, standing.next
    )
}

#[cfg(test)]
#[path = "stop_gate_tests.rs"]
mod tests;
