//! `code`: an accepted change is to the target's own code.

use std::path::PathBuf;

use super::{Gate, GateState};

/// A diff from an attempt's base to its tree, as the server took it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub files: Vec<ChangedFile>,
    /// Tests that it removes, `path: name`.
    pub removed_tests: Vec<String>,
    /// Lines that skip tests, `path: line`.
    pub skips: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: PathBuf,
    pub kind: FileKind,
}

/// What a changed file is to the target framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Its own source or kernel.
    Source,
    /// Launch parameters and their defaults.
    Parameters,
    Test,
    /// Documents, CI and the like.
    Other,
}

pub fn code(change: &Change) -> GateState {
    let mut missing = Vec::new();
    let has = |kind: FileKind| change.files.iter().any(|file| file.kind == kind);
    if change.files.is_empty() {
        missing.push("a change: HEAD's tree is the attempt's base".to_owned());
    } else if !has(FileKind::Source) {
        missing.push(if has(FileKind::Parameters) {
            "a change to code: launch parameters alone are a configuration; re-search them with target_flags in a revalidation".to_owned()
        } else {
            "a change to the target's own sources or kernels".to_owned()
        });
    }
    for test in &change.removed_tests {
        missing.push(format!("the test {test}: it was deleted"));
    }
    for skip in &change.skips {
        missing.push(format!("no skipped test: {skip}"));
    }
    GateState::of(
        Gate::Code,
        missing,
        "amend the attempt's commits, or close it as rejected",
    )
}
