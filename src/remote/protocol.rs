//! What the conductor asks and the agent answers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::job::JobStatus;
use crate::source_state::SourceState;

/// One request: a line of JSON, then for `put` the bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Where job folders lie.
    Hello,
    /// What stands in checkouts of the host.
    Sources { checkouts: Vec<PathBuf> },
    /// Makes the folder of a job and its tasks, or leaves those that are there.
    Place {
        id: String,
        tasks: Vec<TaskSpec>,
        how: How,
    },
    /// A file of the job that the tasks read; its bytes follow.
    Put {
        id: String,
        name: String,
        sha256: String,
    },
    /// Starts every task that is neither running nor done.
    Start {
        id: String,
        /// Values of the plan's `env_from`, which are never written.
        env: IndexMap<String, String>,
    },
    /// How far the tasks are, and what their files have more than `have`.
    Look {
        id: String,
        have: BTreeMap<String, Seen>,
        /// Whether Slurm is asked too.
        ask_queue: bool,
    },
    /// The SHA-256 of every file.
    Sums { id: String },
    /// Asks all tasks to end.
    Cancel { id: String },
    /// Kills supervisors that did not listen; their guards end the engines.
    Kill { id: String },
    /// Removes the folder of a job that is over.
    Remove { id: String },
}

/// One supervisor's work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskSpec {
    /// `all`; of a benchmark spread over nodes `measure` and `search-N`.
    pub name: String,
    pub key: String,
    /// Which domain runs it.
    pub kind: String,
    pub created: String,
    pub payload: Value,
}

/// How tasks are started on their host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Detached,
    Slurm(SlurmOptions),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SlurmOptions {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub time_limit: Option<String>,
    pub gpus: u32,
    pub arguments: Vec<String>,
}

/// A file as it was when it was last copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// A file that was replaced has another.
    pub inode: u64,
    pub mtime_ns: i64,
    /// Bytes copied.
    pub len: u64,
}

/// The answer's first line; bytes of files follow it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Hello {
        jobs_dir: PathBuf,
    },
    /// In the order in which they were asked for.
    Sources(Vec<SourceState>),
    Done,
    Look(Look),
    Sums(BTreeMap<String, String>),
    Fault(Fault),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Look {
    pub tasks: Vec<TaskLook>,
    /// Pieces of files, in the order of their bytes after this line.
    pub pieces: Vec<Piece>,
    /// Whether there is more to copy at once.
    pub more: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TaskLook {
    pub name: String,
    pub status: Option<JobStatus>,
    pub life: Life,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It ended by its own word, which its status has.
    Ended,
    /// It runs or waits; what a scheduler says of it.
    Alive(Option<String>),
    /// It is gone without a word.
    Lost(String),
    /// Nobody was asked.
    Unknown,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Piece {
    pub path: String,
    pub offset: u64,
    pub len: u64,
    /// The file once this piece is written.
    pub seen: Seen,
    /// Whether it has the whole file.
    pub whole: bool,
}

/// Stands before the answer, whatever a login script printed.
pub const MARK: &str = "sota-loop-agent ";

/// Ids and file names that cannot leave the folder of jobs.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= 128
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
