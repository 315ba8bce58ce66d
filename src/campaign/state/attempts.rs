//! Attempts, from their two events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Recorded, State};
use crate::campaign::events::{AttemptClosed, AttemptOpened, ChecksRan};

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    Open,
    Accepted,
    Rejected,
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    pub opened: &'a Recorded<AttemptOpened>,
    pub closed: Option<&'a Recorded<AttemptClosed>>,
}

impl<'a> Attempt<'a> {
    pub fn id(&self) -> &'a str {
        &self.opened.body.id
    }

    pub fn state(&self) -> AttemptState {
        match self.closed {
            None => AttemptState::Open,
            Some(closed) if closed.body.accepted => AttemptState::Accepted,
            Some(_) => AttemptState::Rejected,
        }
    }
}

impl State {
    /// Every attempt, oldest first.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt<'_>> {
        self.attempts_opened.iter().map(|opened| Attempt {
            opened,
            closed: self
                .attempts_closed
                .iter()
                .find(|closed| closed.body.id == opened.body.id),
        })
    }

    /// The one attempt that is open.
    pub fn open_attempt(&self) -> Option<Attempt<'_>> {
        let newest = self.attempts_opened.last()?;
        let is_closed = self
            .attempts_closed
            .iter()
            .rev()
            .any(|closed| closed.body.id == newest.body.id);
        (!is_closed).then_some(Attempt {
            opened: newest,
            closed: None,
        })
    }

    /// The tree that stands as accepted: the last accepted attempt's, else the
    /// one at which the loop was first started.
    pub fn accepted_tree(&self) -> Option<&str> {
        let accepted = self
            .attempts_closed
            .iter()
            .rev()
            .find(|closed| closed.body.accepted);
        accepted
            .and_then(|closed| closed.tree.as_deref())
            .or_else(|| self.base_tree())
    }

    /// The tree at which the loop was first started.
    pub fn base_tree(&self) -> Option<&str> {
        self.loops.first()?.tree.as_deref()
    }

    /// The newest checks of an attempt at a tree.
    pub fn checks_of(&self, attempt: &str, tree: &str) -> Option<&Recorded<ChecksRan>> {
        self.checks.iter().rev().find(|checks| {
            checks.body.attempt.as_deref() == Some(attempt) && checks.tree.as_deref() == Some(tree)
        })
    }

    /// The newest greedy outputs of a tree.
    pub fn outputs_of(&self, tree: &str) -> Option<&Recorded<ChecksRan>> {
        self.checks
            .iter()
            .rev()
            .find(|checks| checks.tree.as_deref() == Some(tree) && checks.body.outputs.is_some())
    }
}
