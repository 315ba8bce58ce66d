//! The whole output of a short command, under guard and a time limit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;

use super::{CommandSpec, Container, Ended, LaunchError, Running};
use crate::disk;

/// A command that should end by itself soon.
#[derive(Debug, Clone)]
pub struct CaptureSpec {
    pub argv: Vec<String>,
    /// Set on top of the inherited environment.
    pub env: IndexMap<String, String>,
    pub cwd: Option<PathBuf>,
    /// Where its output is kept, secrets replaced.
    pub log: PathBuf,
    /// It is ended after this long.
    pub limit: Duration,
    /// Where it runs; none: on this host itself.
    pub container: Option<Container>,
}

/// How a command ended and what it printed.
#[derive(Debug, Clone)]
pub struct Captured {
    pub ended: Ended,
    /// Both streams in the order in which they came, at most 16 MiB.
    pub output: String,
    pub timed_out: bool,
}

impl Captured {
    pub fn is_success(&self) -> bool {
        self.ended.code == Some(0) && !self.timed_out
    }
}

const STOP: Duration = Duration::from_secs(2);
const MOST: u64 = 16 << 20;

/// Runs the command to its end. Its log is written anew.
pub async fn capture(spec: CaptureSpec) -> Result<Captured, LaunchError> {
    if spec.log.exists() {
        disk::write_atomic(&spec.log, b"")?;
    } else if let Some(parent) = spec.log.parent() {
        disk::create_dir(parent)?;
    }
    let command = CommandSpec {
        argv: spec.argv,
        env: spec.env,
        cwd: spec.cwd,
        log: spec.log.clone(),
        stop: STOP,
    };
    let running = Running::start_in(spec.container.as_ref(), command).await?;
    let in_time = tokio::time::timeout(spec.limit, running.wait()).await;
    let (ended, timed_out) = match in_time {
        Ok(ended) => (ended, false),
        Err(_) => (running.stop().await, true),
    };
    Ok(Captured {
        ended,
        output: read(&spec.log),
        timed_out,
    })
}

fn read(path: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    // A command that printed nothing may have left no file.
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(MOST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
