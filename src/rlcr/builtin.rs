//! The built-in runtime: the same folder and files as Humanize's, written by the
//! server itself.

use std::path::{Path, PathBuf};

use super::checklist::{FULL_REVIEW_ROUND, Review};
use super::error::RlcrError;
use super::humanize::SetUp;
use super::plan::PLAN_FILE;
use super::state_file::{LOOPS, LoopState};
use crate::{disk, job};

/// Most rounds of one loop.
pub const MAX_ROUNDS: u32 = 42;

/// A loop to be set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    pub checkout: &'a Path,
    pub campaign: &'a str,
    pub start_branch: &'a str,
    pub base_branch: &'a str,
    pub base_commit: &'a str,
    /// Text of `round-0-prompt.md`.
    pub prompt: &'a str,
}

/// Writes the loop's folder: the plan's copy, the first prompt, and last the
/// `state.md` that makes it active.
pub fn set_up(setup: Setup<'_>) -> Result<SetUp, RlcrError> {
    let started = job::now();
    let folder = new_folder(setup.checkout, &started)?;
    let plan = disk::read(&setup.checkout.join(PLAN_FILE))?;
    disk::write_atomic(&folder.join("plan.md"), &plan)?;
    let prompt_path = prompt_path(&folder, 0);
    disk::write_atomic(&prompt_path, setup.prompt.as_bytes())?;
    let text = str::to_owned;
    let state = LoopState::new(
        folder.join("state.md"),
        &[
            ("current_round", text("0")),
            ("max_iterations", MAX_ROUNDS.to_string()),
            ("full_review_round", FULL_REVIEW_ROUND.to_string()),
            ("runtime", text("sota-loop")),
            ("campaign", text(setup.campaign)),
            ("plan_file", text(PLAN_FILE)),
            ("plan_tracked", text("false")),
            ("start_branch", text(setup.start_branch)),
            ("base_branch", text(setup.base_branch)),
            ("base_commit", text(setup.base_commit)),
            ("ask_codex_question", text("false")),
            ("strict_success", text("true")),
            ("started_at", started),
        ],
    );
    state.write()?;
    Ok(SetUp {
        argv: Vec::new(),
        exit: 0,
        output: String::new(),
        state_path: state.path,
        prompt_path,
        strict_success: true,
    })
}

/// `.humanize/rlcr/2026-11-24_10-49-50`; numbered where a loop began in the same second.
fn new_folder(checkout: &Path, started: &str) -> Result<PathBuf, RlcrError> {
    let stamp = started
        .get(..19)
        .unwrap_or(started)
        .replace('T', "_")
        .replace(':', "-");
    let loops = checkout.join(LOOPS);
    disk::create_dir(&loops)?;
    let mut number = 1;
    loop {
        let folder = loops.join(match number {
            1 => stamp.clone(),
            _ => format!("{stamp}_{number}"),
        });
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => {
                return Err(disk::DiskError::Write {
                    path: folder,
                    source,
                }
                .into());
            }
        }
    }
}

pub fn prompt_path(folder: &Path, round: u32) -> PathBuf {
    folder.join(format!("round-{round}-prompt.md"))
}

/// Writes what a round leaves: its summary and its review.
pub fn write_round(
    folder: &Path,
    round: u32,
    summary: &str,
    review: &Review,
) -> Result<PathBuf, RlcrError> {
    let text = format!("# Round {round} summary\n\n{}\n", summary.trim());
    disk::write_atomic(
        &folder.join(format!("round-{round}-summary.md")),
        text.as_bytes(),
    )?;
    let path = folder.join(format!("round-{round}-review.md"));
    disk::write_atomic(&path, review.markdown(round).as_bytes())?;
    Ok(path)
}

/// Hands out a round: its prompt, then the state that names it.
pub fn begin_round(state: &mut LoopState, round: u32, prompt: &str) -> Result<PathBuf, RlcrError> {
    let path = prompt_path(state.folder(), round);
    disk::write_atomic(&path, prompt.as_bytes())?;
    state.set("current_round", round.to_string());
    state.write()?;
    Ok(path)
}

/// Ends the loop: a last word, and a state file of another name, so that it is
/// active no longer.
pub fn finalise(state: &LoopState, terminal: &str, summary: &str) -> Result<(), RlcrError> {
    let folder = state.folder();
    disk::write_atomic(&folder.join("finalize-summary.md"), summary.as_bytes())?;
    let to = folder.join(format!("{terminal}-state.md"));
    std::fs::rename(&state.path, &to).map_err(|source| {
        disk::DiskError::Write {
            path: to.clone(),
            source,
        }
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlcr::state_file::{active_states, terminal_state};

    fn begun() -> (tempfile::TempDir, SetUp) {
        let dir = tempfile::tempdir().unwrap();
        disk::write_atomic(&dir.path().join(PLAN_FILE), b"# Plan\n").unwrap();
        let up = set_up(Setup {
            checkout: dir.path(),
            campaign: "20261124_m_sota_humanize",
            start_branch: "faster",
            base_branch: "main",
            base_commit: "5f1b2c3",
            prompt: "go",
        });
        (dir, up.unwrap())
    }

    #[test]
    fn a_loop_looks_as_humanizes_does() {
        let (dir, up) = begun();
        assert_eq!(
            active_states(dir.path()),
            std::slice::from_ref(&up.state_path)
        );
        let state = LoopState::read(&up.state_path).unwrap();
        assert_eq!(state.round(), Some(0));
        assert_eq!(state.get("max_iterations"), Some("42"));
        assert_eq!(state.get("ask_codex_question"), Some("false"));
        assert!(state.get("started_at").unwrap().ends_with('Z'));
        let folder = state.folder();
        assert_eq!(
            std::fs::read_to_string(folder.join("plan.md")).unwrap(),
            "# Plan\n"
        );
        assert_eq!(std::fs::read_to_string(&up.prompt_path).unwrap(), "go");
        let name = folder.file_name().unwrap().to_string_lossy();
        assert_eq!(name.len(), "2026-11-24_10-49-50".len(), "{name}");
    }

    #[test]
    fn rounds_leave_summary_and_review_and_the_end_another_state() {
        let (dir, up) = begun();
        let mut state = LoopState::read(&up.state_path).unwrap();
        let folder = state.folder().to_path_buf();
        let review = Review::of(0, &[], Some("a1"), false);
        let path = write_round(&folder, 0, "Fused a kernel.\n", &review).unwrap();
        assert!(
            std::fs::read_to_string(path)
                .unwrap()
                .contains("- [ ] every attempt is closed")
        );
        let prompt = begin_round(&mut state, 1, "again").unwrap();
        assert!(prompt.ends_with("round-1-prompt.md"));
        assert_eq!(LoopState::read(&up.state_path).unwrap().round(), Some(1));
        finalise(&state, "complete", "# Done\n").unwrap();
        assert!(active_states(dir.path()).is_empty());
        assert_eq!(
            terminal_state(&folder).as_deref(),
            Some("complete-state.md")
        );
    }

    #[test]
    fn two_loops_of_one_second_have_folders_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let first = new_folder(dir.path(), "2026-11-24T10:49:50.123Z").unwrap();
        let second = new_folder(dir.path(), "2026-11-24T10:49:50.456Z").unwrap();
        assert!(first.ends_with("2026-11-24_10-49-50"));
        assert!(second.ends_with("2026-11-24_10-49-50_2"));
    }
}
