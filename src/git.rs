//! The one way in which `git` is started: on a named checkout, whatever the
//! environment says of another one, without a prompt, a pager, a lock taken
//! for comfort, or the network.

use std::path::Path;
use std::process::{Command, Stdio};

/// `git -C checkout`, to which the caller adds arguments.
pub fn command(checkout: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(checkout)
        .args(["--no-pager", "-c", "core.quotepath=off"])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        // What a partial clone lacks is said, not fetched.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_EXTERNAL_DIFF")
        .stdin(Stdio::null());
    command
}
