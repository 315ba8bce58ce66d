//! The installed Humanize runtime: called, verified, never bypassed.
//!
//! The contract is that of Humanize 1.16: `setup-rlcr-loop.sh` takes its project
//! from `CLAUDE_PROJECT_DIR`, needs `codex`, `jq` and `git`, ends with 1 on an
//! option that it does not know, and leaves `.humanize/rlcr/<timestamp>/` with
//! `state.md` and `round-0-prompt.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Finished, run};
use super::error::RlcrError;
use super::plan::PLAN_FILE;
use super::state_file::{LoopState, active_states};

const NEEDS: [&str; 3] = ["codex", "jq", "git"];
const SCRIPT: &str = "scripts/setup-rlcr-loop.sh";
const STRICT: &str = "--strict-success";
const PATIENCE: Duration = Duration::from_secs(120);

/// A loop to be set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Folder of the runtime.
    pub runtime: &'a Path,
    /// Top of the target's checkout.
    pub checkout: &'a Path,
    /// The host's project folder, in which Humanize's hooks look.
    pub project: &'a Path,
    pub base_branch: Option<&'a str>,
}

/// A loop that was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetUp {
    pub argv: Vec<String>,
    pub exit: i32,
    pub output: String,
    pub state_path: PathBuf,
    pub prompt_path: PathBuf,
    /// The option was offered, given, and stands in the state.
    pub strict_success: bool,
}

/// Programs that Humanize needs and that are not on PATH.
pub fn missing_programs() -> Vec<String> {
    NEEDS
        .iter()
        .filter(|name| which::which(name).is_err())
        .map(|name| (*name).to_owned())
        .collect()
}

/// Sets the loop up by Humanize's own script, and checks what it left.
pub fn set_up(setup: Setup<'_>) -> Result<SetUp, RlcrError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if real(setup.project) != real(setup.checkout) {
        return Err(RlcrError::ProjectMismatch {
            project: setup.project.to_path_buf(),
            checkout: setup.checkout.to_path_buf(),
        });
    }
    let missing = missing_programs();
    if !missing.is_empty() {
        return Err(RlcrError::HumanizeNeeds { missing });
    }
    let script = setup.runtime.join(SCRIPT);
    let strict = setup.call(&script, &["--help"])?.output.contains(STRICT);
    let mut arguments = vec![PLAN_FILE, "--yolo"];
    arguments.extend(strict.then_some(STRICT));
    if let Some(branch) = setup.base_branch {
        arguments.extend(["--base-branch", branch]);
    }
    let before = active_states(setup.checkout);
    let ended = setup.call(&script, &arguments)?;
    if ended.exit != Some(0) {
        return Err(RlcrError::Setup {
            ended: ended.how(),
            argv: ended.argv,
            output: ended.output,
        });
    }
    let state = the_new_state(setup.checkout, &before)?;
    check(&state, strict)?;
    Ok(SetUp {
        argv: ended.argv,
        exit: 0,
        output: ended.output,
        prompt_path: state.folder().join("round-0-prompt.md"),
        state_path: state.path.clone(),
        strict_success: strict,
    })
}

impl Setup<'_> {
    fn call(&self, script: &Path, arguments: &[&str]) -> Result<Finished, RlcrError> {
        let mut argv = vec![script.display().to_string()];
        if nix::unistd::access(script, nix::unistd::AccessFlags::X_OK).is_err() {
            // A copy may have lost its mode; the script is one of bash.
            argv.insert(0, "bash".to_owned());
        }
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let env = [("CLAUDE_PROJECT_DIR", self.checkout)];
        run(argv, self.checkout, &env, PATIENCE)
    }
}

/// The one active state, which was not there before.
fn the_new_state(checkout: &Path, before: &[PathBuf]) -> Result<LoopState, RlcrError> {
    let incomplete = |problem: String| Err(RlcrError::SetupIncomplete { problem });
    match &active_states(checkout)[..] {
        [] => incomplete(format!(
            "there is no state.md under {}/.humanize/rlcr",
            checkout.display()
        )),
        [one] if before.contains(one) => incomplete(format!("{} was there before", one.display())),
        [one] => LoopState::read(one),
        several => incomplete(format!("{} loops are active", several.len())),
    }
}

/// What a loop that was just set up must show.
fn check(state: &LoopState, strict: bool) -> Result<(), RlcrError> {
    let mut wanted = vec![("current_round", "0"), ("ask_codex_question", "false")];
    if strict {
        wanted.push(("strict_success", "true"));
    }
    for (key, value) in wanted {
        let found = state.get(key);
        if found != Some(value) {
            return Err(RlcrError::SetupIncomplete {
                problem: format!(
                    "{} has {key}: {}, not {value}",
                    state.path.display(),
                    found.unwrap_or("nothing")
                ),
            });
        }
    }
    let prompt = state.folder().join("round-0-prompt.md");
    if !prompt.is_file() {
        return Err(RlcrError::SetupIncomplete {
            problem: format!("{} is missing", prompt.display()),
        });
    }
    Ok(())
}

#[cfg(test)]
#[path = "humanize_tests.rs"]
mod tests;
