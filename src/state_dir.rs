//! The user's folder for state that is no project's.

use std::path::PathBuf;

/// `SOTA_LOOP_STATE_DIR`, else `$XDG_STATE_HOME/sota-loop`, else
/// `~/.local/state/sota-loop`. Unit tests keep theirs among temporary files.
pub fn state_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    if let Some(dir) = variable("SOTA_LOOP_STATE_DIR") {
        return dir;
    }
    if cfg!(test) {
        return std::env::temp_dir().join("sota-loop-unit-tests");
    }
    variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("sota-loop")
}
