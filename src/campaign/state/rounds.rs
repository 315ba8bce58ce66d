//! Phases and rounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;
use crate::campaign::events::{BenchmarkLabel, RootCauseKind};
use crate::gap::RoundProgress;
use crate::job::JobState;

/// How far a campaign is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Opened; the history notes or a fair baseline are missing.
    Baseline,
    /// Sealed, and no loop was started after it.
    Sealed,
    /// Inside the loop.
    Loop,
    /// The loop rests on the user's word.
    Paused,
    /// Over.
    Finished,
}

impl State {
    /// How far the campaign is.
    pub fn phase(&self) -> Phase {
        if self.is_finished() {
            Phase::Finished
        } else if self.is_paused() {
            Phase::Paused
        } else if !self.loops.is_empty() {
            Phase::Loop
        } else if self.seal.is_some() {
            Phase::Sealed
        } else {
            Phase::Baseline
        }
    }

    /// Whether the last `pause` was not followed by a `resume`.
    pub fn is_paused(&self) -> bool {
        let last = |seq: Option<u64>| seq.unwrap_or(0);
        last(self.paused.last().map(|event| event.seq))
            > last(self.resumed.last().map(|event| event.seq))
    }

    /// The present round, from 0: the number of rounds that ended.
    pub fn round(&self) -> u32 {
        self.rounds.len() as u32
    }

    /// The number of the event with which the present round began: the end of
    /// the round before, or the first `start_loop`.
    pub fn round_began(&self) -> u64 {
        let ended = self.rounds.last().map(|round| round.seq);
        let started = self.loops.first().map(|started| started.seq);
        ended.or(started).unwrap_or(0)
    }

    /// Whether the present round found that launch parameters are the cause,
    /// and measured the sealed workload again after that.
    pub fn searched_flags(&self) -> bool {
        let found = self.root_causes.iter().find(|cause| {
            cause.seq > self.round_began() && cause.body.cause == RootCauseKind::Configuration
        });
        found.is_some_and(|cause| {
            self.benchmarks.iter().any(|ended| {
                ended.seq > cause.seq
                    && ended.body.label == BenchmarkLabel::Revalidation
                    && ended.body.state == JobState::Done
            })
        })
    }

    /// Whether the present loop was started and has not ended.
    pub fn in_loop(&self) -> bool {
        let started = self.loops.last().map_or(0, |event| event.seq);
        let ended = self.loops_ended.last().map_or(0, |event| event.seq);
        started > ended && !self.is_finished()
    }

    /// What each finished round gave, for the plateau rule.
    pub fn progress(&self) -> Vec<RoundProgress> {
        self.rounds
            .iter()
            .enumerate()
            .map(|(round, ended)| RoundProgress {
                round: round as u32,
                improvement_pct: ended.body.improvement_pct,
            })
            .collect()
    }
}
