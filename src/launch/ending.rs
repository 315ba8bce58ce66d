//! How a command is ended that is not only its own process group.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Commands that end another one, as in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Asks it to end, instead of a signal to the process group.
    pub stop: Option<Vec<String>>,
    /// Run once it has ended, whatever ended it.
    pub cleanup: Vec<Vec<String>>,
}

const POLL: Duration = Duration::from_millis(20);
/// A command that cleans up gets this long.
const CLEANUP: Duration = Duration::from_secs(60);

impl Ending {
    /// Removes what the command leaves outside its process group.
    pub(super) fn clean_up(&self) {
        for command in &self.cleanup {
            run_for(command, CLEANUP);
        }
    }
}

/// Runs a short command to its end, or for as long as `limit`. What it leaves
/// undone shows in what is left of the engine.
pub(super) fn run_for(command: &[String], limit: Duration) {
    let Some((program, arguments)) = command.split_first() else {
        return;
    };
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
