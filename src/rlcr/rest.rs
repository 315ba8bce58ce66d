//! Pause and resume: the loop rests on the user's word.

use super::error::RlcrError;
use super::rounds;
use crate::campaign::events::{LoopRuntime, Paused, Resumed};
use crate::campaign::{self, Campaign, NewEvent, State};

/// Lets the loop rest. Returns what the user should know.
pub fn pause(campaign: &Campaign, reason: &str) -> Result<Vec<String>, RlcrError> {
    let state = campaign.state()?;
    if state.is_finished() {
        return Err(RlcrError::Finished);
    }
    if state.is_paused() {
        return Ok(vec![
            "it was paused already; nothing was recorded".to_owned(),
        ]);
    }
    let body = Paused {
        reason: reason.to_owned(),
    };
    note(campaign, &state, NewEvent::of(&body))?;
    let humanize = state.current_loop().filter(|present| {
        state.in_loop()
            && present.body.runtime == LoopRuntime::Humanize
            && rounds::is_active(&present.body.state_path)
    });
    Ok(humanize
        .map(|present| {
            format!(
                "Humanize's own hook still holds the conversation ({}); its cancel command ends that, and start_loop goes on later",
                present.body.state_path.display()
            )
        })
        .into_iter()
        .collect())
}

/// Goes on after a pause.
pub fn resume(campaign: &Campaign, reason: Option<&str>) -> Result<Vec<String>, RlcrError> {
    let state = campaign.state()?;
    if state.is_finished() {
        return Err(RlcrError::Finished);
    }
    if !state.is_paused() {
        return Ok(vec!["it was not paused; nothing was recorded".to_owned()]);
    }
    let body = Resumed {
        reason: reason.map(str::to_owned),
    };
    note(campaign, &state, NewEvent::of(&body))?;
    Ok(Vec::new())
}

fn note(campaign: &Campaign, state: &State, event: NewEvent) -> Result<(), RlcrError> {
    let checkout = campaign.look(state).checkout;
    let event = event
        .in_round(Some(state.round()))
        .at(checkout.commit(), checkout.tree());
    campaign::note(campaign, event)?;
    Ok(())
}
