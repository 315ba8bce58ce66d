//! In which order sessions run. A session is one launch, warm-up, and every scenario.

use serde::{Deserialize, Serialize};

/// What a session's rows are for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Each candidate once, to find each framework's winners. These rows choose
    /// and never decide: the best of several noisy runs looks better than it is.
    #[default]
    Search,
    /// Repeats of the winners, interleaved.
    Measure,
    /// Runs that seek the highest load within the SLA; they compare nothing.
    MaxLoad,
}

/// One session of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub phase: Phase,
    /// Index into the job's list of candidates.
    pub candidate: usize,
    /// 0 in the search, 1 and up in repeats.
    pub repeat: u32,
}

/// Search sessions of every framework that has a choice.
pub fn search(groups: &[Vec<usize>]) -> Vec<Session> {
    groups
        .iter()
        .filter(|group| group.len() > 1)
        .flatten()
        .map(|candidate| Session {
            phase: Phase::Search,
            candidate: *candidate,
            repeat: 0,
        })
        .collect()
}

/// Repeats in the order A B B A A B: a drift of the machine that grows with
/// time falls on all arms alike, and neighbours can share a launch.
pub fn interleaved(arms: &[usize], repeats: u32) -> Vec<Session> {
    (1..=repeats)
        .flat_map(|repeat| {
            let mut round: Vec<Session> = arms
                .iter()
                .map(|candidate| Session {
                    phase: Phase::Measure,
                    candidate: *candidate,
                    repeat,
                })
                .collect();
            if repeat % 2 == 0 {
                round.reverse();
            }
            round
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_alternate_their_order() {
        let order: Vec<(usize, u32)> = interleaved(&[0, 3], 3)
            .into_iter()
            .map(|session| (session.candidate, session.repeat))
            .collect();
        assert_eq!(order, [(0, 1), (3, 1), (3, 2), (0, 2), (0, 3), (3, 3)]);
    }

    #[test]
    fn a_framework_without_a_choice_needs_no_search() {
        let sessions = search(&[vec![0], vec![1, 2]]);
        let searched: Vec<usize> = sessions.iter().map(|s| s.candidate).collect();
        assert_eq!(searched, [1, 2]);
    }
}
