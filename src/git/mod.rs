//! The one way in which `git` is started: on a named checkout, whatever the
//! environment and the user's settings say, without a prompt, a pager, a lock
//! taken for comfort, or the network. And what git's own status does not tell
//! of a working tree.

mod content;
mod hidden;
#[cfg(test)]
mod tests;

pub use content::differing;
pub use hidden::hidden;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Settings under which git looks at files itself, and prints what it sees as
/// it is.
const SETTINGS: [&str; 10] = [
    "core.quotepath=off",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.ignoreStat=false",
    "core.trustctime=true",
    "core.checkStat=default",
    "color.ui=false",
    "color.diff=false",
    "color.status=false",
];

/// `git diff` as text, whatever attributes and settings make of it.
pub const TEXT_DIFF: [&str; 6] = [
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--text",
];

/// `git diff` as a patch that applies, binary files included.
pub const PATCH: [&str; 6] = [
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--binary",
    "--full-index",
];

/// `git status` for programs, of everything that git itself sees.
pub const STATUS: [&str; 5] = [
    "status",
    "--porcelain=v1",
    "-z",
    "--untracked-files=all",
    "--ignore-submodules=none",
];

/// `git -C checkout`, to which the caller adds arguments.
pub fn command(checkout: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(checkout).arg("--no-pager");
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        // What a partial clone lacks is said, not fetched.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env_remove("GIT_EXTERNAL_DIFF")
        .env_remove("GIT_DIFF_OPTS")
        .env_remove("GIT_ATTR_SOURCE")
        .stdin(Stdio::null());
    command
}

/// What a command prints; the error is what git says.
pub fn output(checkout: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = command(checkout)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "git {}: {}",
        arguments.first().unwrap_or(&""),
        complaint.trim()
    ))
}

/// What a command prints that is given `input`, and whether it ended well.
fn answer(checkout: &Path, arguments: &[&str], input: Vec<u8>) -> Result<Output, String> {
    let name = arguments.first().copied().unwrap_or_default();
    let wrap = |error: std::io::Error| format!("git {name}: {error}");
    let mut child = command(checkout)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(wrap)?;
    let pipe = child.stdin.take();
    // Written beside the reading: neither pipe may fill up. A git that ends
    // early says why itself.
    let writer = std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&input)));
    let output = child.wait_with_output().map_err(wrap)?;
    let _ = writer.join();
    Ok(output)
}

/// The top folder of the checkout that a path lies in.
pub fn top(checkout: &Path) -> Result<PathBuf, String> {
    let top = output(checkout, &["rev-parse", "--show-toplevel"])?;
    Ok(PathBuf::from(String::from_utf8_lossy(&top).trim_end()))
}

/// Entries that end with a zero byte.
fn zero_ended(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
}
