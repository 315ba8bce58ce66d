//! What the server sees at this moment, beside the log.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::code::Change;
use crate::campaign::checkout::Checkout;
use crate::campaign::log::FileHash;

/// The facts that gates rest on beside the log; made by
/// [`Campaign::look`](crate::campaign::Campaign::look), or by hand in tests.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub checkout: Checkout,
    /// Loops under the checkout's `.humanize/rlcr/` whose `state.md` is there.
    pub active_loops: Vec<ActiveLoop>,
    /// What the open attempt has changed so far.
    pub change: Option<Change>,
    /// Files of the log that are not what they were, and how they differ.
    pub changed: BTreeMap<PathBuf, String>,
}

/// A loop's folder with a `state.md`, and what its front matter says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveLoop {
    pub state_path: PathBuf,
    pub current_round: Option<u32>,
    pub ask_codex_question: Option<bool>,
    pub strict_success: Option<bool>,
    /// Whether `round-0-prompt.md` stands beside it.
    pub has_prompt: bool,
}

impl World {
    /// How these files differ from what was recorded; empty when they do not.
    pub fn differences(&self, files: &[FileHash]) -> Vec<String> {
        files
            .iter()
            .filter_map(|file| {
                let difference = self.changed.get(&file.path)?;
                Some(format!("{}: {difference}", file.path.display()))
            })
            .collect()
    }
}
