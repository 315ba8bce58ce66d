//! The rounds of a loop that runs: what its runtime says, and for the built-in
//! runtime the reviews, summaries and prompts that follow from the log.

use std::path::{Path, PathBuf};

use super::builtin::{self, MAX_ROUNDS};
use super::checklist::{Review, is_full_alignment};
use super::error::RlcrError;
use super::facts::{prompt_facts, terminal_word, word};
use super::prompt;
use super::state_file::{LoopState, active_in, terminal_state};
use crate::campaign::events::{LoopEnded, LoopRuntime, LoopStarted, Reviewed, RoundStarted};
use crate::campaign::gates::{self, World};
use crate::campaign::{self, Campaign, NewEvent, Recorded, State};

/// Records that the present loop's runtime has ended it, where its `state.md`
/// says so. Returns the runtime's own word for it.
pub fn observe(campaign: &Campaign) -> Result<Option<String>, RlcrError> {
    let state = campaign.state()?;
    let Some(present) = state.current_loop().filter(|_| state.in_loop()) else {
        return Ok(None);
    };
    let path = &present.body.state_path;
    if is_active(path) {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(path);
    let terminal = terminal_state(folder)
        .and_then(|name| Some(name.strip_suffix("-state.md")?.to_owned()))
        .unwrap_or_else(|| "removed".to_owned());
    let body = LoopEnded {
        state_path: path.clone(),
        terminal: terminal.clone(),
    };
    campaign::note(campaign, NewEvent::of(&body).in_round(Some(state.round())))?;
    Ok(Some(terminal))
}

/// Whether the loop of this `state.md` goes on.
pub fn is_active(state_path: &Path) -> bool {
    active_in(state_path.parent().unwrap_or(state_path)).is_some()
}

/// The review of the present round, before `round_end` is recorded: gates speak
/// of the round that is going on.
pub fn review(campaign: &Campaign) -> Result<Review, RlcrError> {
    let state = campaign.state()?;
    let world = campaign.look(&state);
    Ok(review_of(&state, &world))
}

fn review_of(state: &State, world: &World) -> Review {
    let open = state.open_attempt();
    let attempted = state
        .attempts_closed
        .iter()
        .any(|closed| closed.seq > state.round_began());
    Review::of(
        state.round(),
        &gates::evaluate(state, world),
        open.as_ref().map(|attempt| attempt.id()),
        attempted || state.searched_flags(),
    )
}

/// After `round_end`: writes what the built-in runtime owes for the round that
/// ended, and hands out the next. Humanize does this by itself.
pub fn advance(campaign: &Campaign, review: &Review) -> Result<Option<PathBuf>, RlcrError> {
    let state = campaign.state()?;
    let (Some(present), Some(ended)) = (state.current_loop(), state.rounds.last()) else {
        return Ok(None);
    };
    if !state.in_loop() || !present.body.state_path.is_file() {
        return Ok(None);
    }
    let round = state.round().saturating_sub(1);
    let review_path = match present.body.runtime {
        LoopRuntime::Humanize => None,
        LoopRuntime::Builtin => {
            let folder = folder(present);
            Some(builtin::write_round(
                &folder,
                round,
                &ended.body.summary,
                review,
            )?)
        }
    };
    let body = Reviewed {
        passed: review.passed(),
        open: review.open(),
        path: review_path.clone(),
    };
    campaign::note(campaign, NewEvent::of(&body).in_round(Some(round)))?;
    if present.body.runtime == LoopRuntime::Humanize {
        return Ok(None);
    }
    let of_this_loop = state
        .rounds
        .iter()
        .filter(|ended| ended.seq > present.seq)
        .count();
    if of_this_loop as u32 >= MAX_ROUNDS {
        end(campaign, present, "maxiter", round)?;
        return Ok(None);
    }
    begin(campaign, &state, present, review).map(Some)
}

fn begin(
    campaign: &Campaign,
    state: &State,
    present: &Recorded<LoopStarted>,
    review: &Review,
) -> Result<PathBuf, RlcrError> {
    let round = state.round();
    let facts = prompt_facts(campaign, state, &review.open(), &present.body.start_branch);
    let mut file = LoopState::read(&present.body.state_path)?;
    let prompt_path = builtin::begin_round(&mut file, round, &prompt::render(&facts)?)?;
    let body = RoundStarted {
        prompt_path: prompt_path.clone(),
        full_alignment: is_full_alignment(round),
    };
    campaign::note(campaign, NewEvent::of(&body).in_round(Some(round)))?;
    Ok(prompt_path)
}

/// The prompt of the present round.
pub fn present_prompt(state: &State) -> Option<PathBuf> {
    state
        .rounds_started
        .last()
        .map(|round| round.body.prompt_path.clone())
}

/// After `finish`: the built-in runtime's loop is active no longer. Humanize's
/// own files are its own.
pub fn finished(campaign: &Campaign) -> Result<Vec<String>, RlcrError> {
    let state = campaign.state()?;
    let (Some(present), Some(finished)) = (state.current_loop(), &state.finished) else {
        return Ok(Vec::new());
    };
    if !present.body.state_path.is_file() {
        return Ok(Vec::new());
    }
    match present.body.runtime {
        LoopRuntime::Builtin => {
            end(
                campaign,
                present,
                terminal_word(finished.body.outcome),
                state.round(),
            )?;
            Ok(Vec::new())
        }
        LoopRuntime::Humanize => Ok(vec![format!(
            "Humanize's loop is still active ({}); end it with its own cancel command",
            present.body.state_path.display()
        )]),
    }
}

fn end(
    campaign: &Campaign,
    present: &Recorded<LoopStarted>,
    terminal: &str,
    round: u32,
) -> Result<(), RlcrError> {
    let file = LoopState::read(&present.body.state_path)?;
    builtin::finalise(&file, terminal, &last_word(campaign, terminal, round)?)?;
    let body = LoopEnded {
        state_path: present.body.state_path.clone(),
        terminal: terminal.to_owned(),
    };
    campaign::note(campaign, NewEvent::of(&body).in_round(Some(round)))?;
    Ok(())
}

fn last_word(campaign: &Campaign, terminal: &str, round: u32) -> Result<String, RlcrError> {
    let state = campaign.state()?;
    let mut text = format!(
        "# Campaign {}: {terminal} after round {round}\n\n",
        campaign.id
    );
    match &state.finished {
        Some(finished) => {
            text.push_str(&format!(
                "Outcome: {}. {}\n\nReport: {}\n",
                word(&finished.body.outcome),
                finished.body.reason,
                finished.body.report_path.display()
            ));
        }
        None => text.push_str(
            "No allowed stop was reached. `campaign` {\"action\": \"start_loop\"} goes on with the same campaign.\n",
        ),
    }
    Ok(text)
}

fn folder(present: &Recorded<LoopStarted>) -> PathBuf {
    let path = &present.body.state_path;
    path.parent().unwrap_or(path).to_path_buf()
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
