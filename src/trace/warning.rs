use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something wrong with a trace that did not keep it from being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TraceWarning {
    /// The file ends before the list of events does.
    Truncated {
        /// Offset in the unpacked text where reading ended.
        offset: u64,
        reason: String,
    },
    /// Stretches of text were not valid JSON and were passed over.
    Damaged { count: u64, first_offset: u64 },
    /// Events without a usable start or duration were left out.
    Untimed { count: u64 },
    /// Events of a phase that a profiler does not write were left out.
    UnknownPhase { count: u64, example: char },
}

impl fmt::Display for TraceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset, reason } => write!(
                f,
                "the trace ends early, at byte {offset} of its unpacked text ({reason}); what was read before that is analysed"
            ),
            Self::Damaged {
                count,
                first_offset,
            } => write!(
                f,
                "{count} damaged stretches were passed over, the first at byte {first_offset} of the unpacked text"
            ),
            Self::Untimed { count } => write!(
                f,
                "{count} events without a usable start or duration were left out"
            ),
            Self::UnknownPhase { count, example } => write!(
                f,
                "{count} events of unknown phases (such as {example:?}) were left out"
            ),
        }
    }
}
