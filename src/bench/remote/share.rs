//! The part of a job that one supervisor on an engine's host runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bench::plan::ExecutorKind;
use crate::bench::session::Session;

/// What a task of a spread job does, and where its host stands in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub part: Part,
    /// Rows of the job's other tasks, from which winners are chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_rows: Vec<PathBuf>,
    pub kind: ExecutorKind,
    /// The host as the plan names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    All,
    /// The search session of one candidate, by its place in the lineup.
    Search(usize),
    /// The repeats of the winners.
    Measure,
}

impl Part {
    /// The search sessions that are its own.
    pub fn search(self, sessions: Vec<Session>) -> Vec<Session> {
        match self {
            Self::All => sessions,
            Self::Search(candidate) => sessions
                .into_iter()
                .filter(|session| session.candidate == candidate)
                .collect(),
            Self::Measure => Vec::new(),
        }
    }

    pub fn measures(self) -> bool {
        !matches!(self, Self::Search(_))
    }
}
