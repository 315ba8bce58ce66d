//! Which conversation touched which campaign, kept in the user's state folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::RlcrError;
use crate::{disk, sha256};

/// A conversation's campaigns, the one touched last at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    pub session_id: String,
    pub campaigns: Vec<Touched>,
}

/// A campaign that the conversation worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    pub root: PathBuf,
    /// Blocks in a row at the same last event.
    #[serde(default)]
    pub blocks: u32,
    /// Number of that event.
    #[serde(default)]
    pub at_event: u64,
}

/// Most campaigns that are remembered of one conversation.
const MOST: usize = 16;

impl Conversation {
    /// What is known of a conversation; nothing where it touched nothing.
    pub fn load(state_dir: &Path, session_id: &str) -> Result<Self, RlcrError> {
        let path = path(state_dir, session_id);
        if !path.exists() {
            return Ok(Self {
                session_id: session_id.to_owned(),
                ..Self::default()
            });
        }
        let bytes = disk::read(&path)?;
        serde_json::from_slice(&bytes).map_err(|error| RlcrError::StateFile {
            line: error.line(),
            problem: error.to_string(),
            path,
        })
    }

    pub fn save(&self, state_dir: &Path) -> Result<(), RlcrError> {
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        Ok(disk::write_atomic(
            &path(state_dir, &self.session_id),
            &json,
        )?)
    }

    /// Notes that the conversation worked on a campaign. Tells whether that is new.
    pub fn touch(&mut self, root: &Path) -> bool {
        let old = self
            .campaigns
            .iter()
            .position(|touched| touched.root == root);
        let touched = match old {
            Some(index) if index + 1 == self.campaigns.len() => return false,
            Some(index) => self.campaigns.remove(index),
            None => Touched {
                root: root.to_path_buf(),
                blocks: 0,
                at_event: 0,
            },
        };
        self.campaigns.push(touched);
        if self.campaigns.len() > MOST {
            self.campaigns.remove(0);
        }
        true
    }
}

impl Touched {
    /// Counts one more block at the log's last event, and tells how many there
    /// were in a row before it.
    pub fn block(&mut self, last_event: u64) -> u32 {
        if self.at_event != last_event {
            self.at_event = last_event;
            self.blocks = 0;
        }
        let before = self.blocks;
        self.blocks = before.saturating_add(1);
        before
    }
}

/// An id may hold anything, so a file is named after its hash.
fn path(state_dir: &Path, session_id: &str) -> PathBuf {
    let hash = sha256::hex(session_id.as_bytes());
    let name = format!("{}.json", hash.get(..24).unwrap_or(&hash));
    state_dir.join("conversations").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_remembered_by_its_id_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut mine = Conversation::load(dir.path(), "../../mine").unwrap();
        assert!(mine.touch(Path::new("/w/runs/a")));
        assert!(mine.touch(Path::new("/w/runs/b")));
        assert!(!mine.touch(Path::new("/w/runs/b")));
        mine.save(dir.path()).unwrap();
        assert_eq!(Conversation::load(dir.path(), "../../mine").unwrap(), mine);
        assert!(
            Conversation::load(dir.path(), "yours")
                .unwrap()
                .campaigns
                .is_empty()
        );
    }

    #[test]
    fn blocks_are_counted_until_something_happens() {
        let mut touched = Touched {
            root: PathBuf::from("/w/runs/a"),
            blocks: 0,
            at_event: 0,
        };
        assert_eq!(
            [touched.block(7), touched.block(7), touched.block(7)],
            [0, 1, 2]
        );
        assert_eq!(touched.block(7), 3);
        assert_eq!(touched.block(8), 0);
    }
}
