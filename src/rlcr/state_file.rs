//! `state.md` of a loop: YAML front matter under `.humanize/rlcr/<timestamp>/`,
//! as Humanize writes it and the built-in runtime does.

use std::path::{Path, PathBuf};

use super::error::RlcrError;
use crate::disk;

/// Folder of all loops of a checkout.
pub const LOOPS: &str = ".humanize/rlcr";

/// State files of a loop that goes on: working, or in Humanize's last steps.
const ACTIVE: [&str; 3] = [
    "state.md",
    "finalize-state.md",
    "methodology-analysis-state.md",
];

/// The front matter of a state file, in the order of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoopState {
    pub path: PathBuf,
    fields: Vec<(String, String)>,
}

impl LoopState {
    pub fn new(path: PathBuf, fields: &[(&str, String)]) -> Self {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect();
        Self { path, fields }
    }

    /// Reads a state file: `key: value` lines between two `---` lines.
    pub fn read(path: &Path) -> Result<Self, RlcrError> {
        let text = disk::read_text(path)?;
        let mut lines = text.lines();
        let broken = |line: usize, problem: &str| RlcrError::StateFile {
            path: path.to_path_buf(),
            line,
            problem: problem.to_owned(),
        };
        if lines.next().map(str::trim_end) != Some("---") {
            return Err(broken(
                1,
                "no front matter; it should begin with a line `---`",
            ));
        }
        let mut fields = Vec::new();
        for (index, line) in lines.enumerate() {
            if line.trim_end() == "---" {
                return Ok(Self {
                    path: path.to_path_buf(),
                    fields,
                });
            }
            if let Some((key, value)) = line.split_once(':') {
                let value = value.trim().trim_matches(['"', '\'']);
                fields.push((key.trim().to_owned(), value.to_owned()));
            } else if !line.trim().is_empty() {
                return Err(broken(index + 2, "this is no `key: value`"));
            }
        }
        Err(broken(1, "its front matter does not end with a line `---`"))
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(name, _)| name == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    #[cfg(test)]
    pub fn round(&self) -> Option<u32> {
        self.get("current_round")?.parse().ok()
    }

    pub fn set(&mut self, key: &str, value: String) {
        match self.fields.iter_mut().find(|(name, _)| name == key) {
            Some(field) => field.1 = value,
            None => self.fields.push((key.to_owned(), value)),
        }
    }

    pub fn write(&self) -> Result<(), RlcrError> {
        let mut text = String::from("---\n");
        for (key, value) in &self.fields {
            text.push_str(&format!("{key}: {value}\n"));
        }
        text.push_str("---\n");
        Ok(disk::write_atomic(&self.path, text.as_bytes())?)
    }

    /// The loop's folder.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

/// State files of every loop of this checkout that is active, oldest first.
pub fn active_states(checkout: &Path) -> Vec<PathBuf> {
    let mut loops: Vec<PathBuf> = std::fs::read_dir(checkout.join(LOOPS))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    loops.sort();
    loops
        .iter()
        .filter_map(|folder| active_in(folder))
        .collect()
}

/// The state file that makes this loop's folder active.
pub fn active_in(folder: &Path) -> Option<PathBuf> {
    ACTIVE
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// The name of the file in which a loop's folder says that it has ended, such as
/// `complete-state.md`.
pub fn terminal_state(folder: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with("-state.md") && !ACTIVE.contains(&name.as_str()))
        .collect();
    names.sort();
    names.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The front matter that Humanize 1.16 writes.
    const HUMANIZE: &str = "---\ncurrent_round: 3\nmax_iterations: 42\ncodex_model: gpt-5.4\nplan_file: .humanize/sglang-sota-agent/refined-plan.md\nsession_id:\nask_codex_question: false\nstarted_at: 2026-11-24T10:00:00Z\n---\n";

    fn folder(dir: &Path, name: &str) -> PathBuf {
        let folder = dir.join(LOOPS).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn reads_what_humanize_writes_and_writes_it_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = folder(dir.path(), "2026-11-24_10-00-00").join("state.md");
        std::fs::write(&path, HUMANIZE).unwrap();
        let mut state = LoopState::read(&path).unwrap();
        assert_eq!(state.round(), Some(3));
        assert_eq!(state.get("started_at"), Some("2026-11-24T10:00:00Z"));
        assert_eq!(state.get("session_id"), None);
        state.set("current_round", "4".to_owned());
        state.write().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            HUMANIZE
                .replace("round: 3", "round: 4")
                .replace("session_id:\n", "session_id: \n")
        );
    }

    #[test]
    fn a_broken_state_names_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.md");
        for (text, at) in [
            ("current_round: 0\n", ":1:"),
            ("---\ncurrent_round: 0\n", ":1:"),
            ("---\nwhat\n---\n", ":2:"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = LoopState::read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("state.md{at}")), "{error}");
        }
    }

    #[test]
    fn a_loop_is_active_until_its_state_has_another_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(active_states(dir.path()).is_empty());
        let first = folder(dir.path(), "2026-11-23_10-00-00");
        std::fs::write(first.join("state.md"), HUMANIZE).unwrap();
        let second = folder(dir.path(), "2026-11-24_10-00-00");
        std::fs::write(second.join("finalize-state.md"), HUMANIZE).unwrap();
        assert_eq!(
            active_states(dir.path()),
            [first.join("state.md"), second.join("finalize-state.md")]
        );
        std::fs::rename(first.join("state.md"), first.join("maxiter-state.md")).unwrap();
        assert_eq!(
            active_states(dir.path()),
            [second.join("finalize-state.md")]
        );
        assert_eq!(terminal_state(&first).as_deref(), Some("maxiter-state.md"));
        assert_eq!(terminal_state(&second), None);
    }
}
