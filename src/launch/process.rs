//! A command under guard, as its owner sees it.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::ending::Ending;
use super::{Container, GuardSpec, LaunchError, leftovers};
use crate::own_binary::own_binary;

/// What to run, and where its output goes.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    pub argv: Vec<String>,
    /// Set on top of the inherited environment.
    pub env: IndexMap<String, String>,
    pub cwd: Option<PathBuf>,
    pub log: PathBuf,
    /// From the polite signal to the kill.
    pub stop: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code, unless a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// It was told to stop.
    pub stopped: bool,
    /// It ignored the polite signal and was killed.
    pub killed: bool,
    /// Why its log is not complete.
    pub log_failure: Option<String>,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => write!(f, "an unknown status"),
        }
    }
}

/// A command that runs under its guard. Dropping it ends the command.
#[derive(Debug)]
pub struct Running {
    command: Vec<String>,
    log: PathBuf,
    control: Option<ChildStdin>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Running {
    /// Starts the command in a container, or on this host where there is none.
    pub async fn start_in(
        container: Option<&Container>,
        spec: CommandSpec,
    ) -> Result<Self, LaunchError> {
        match container {
            Some(container) => {
                let (spec, ending) = container.wrap(spec);
                Self::under_guard(spec, ending).await
            }
            None => Self::start(spec).await,
        }
    }

    /// Starts the command under a guard of its own.
    pub async fn start(spec: CommandSpec) -> Result<Self, LaunchError> {
        Self::under_guard(spec, Ending::default()).await
    }

    async fn under_guard(spec: CommandSpec, ending: Ending) -> Result<Self, LaunchError> {
        let program = spec.argv.first().cloned().unwrap_or_default();
        let resolved = which::which(&program).map_err(|error| LaunchError::NotFound {
            program: program.clone(),
            reason: error.to_string(),
        })?;
        let command = spec.argv.clone();
        let mut argv = spec.argv;
        if let Some(first) = argv.first_mut() {
            *first = resolved.display().to_string();
        }
        let wrap = |source| LaunchError::Spawn {
            program: program.clone(),
            source,
        };
        let guard_spec = GuardSpec {
            argv,
            cwd: spec.cwd,
            log: spec.log.clone(),
            stop: spec.stop,
            ending,
        };
        let json = serde_json::to_string(&guard_spec)
            .map_err(|error| wrap(std::io::Error::other(error)))?;
        let mut child = Command::new(own_binary().map_err(wrap)?)
            .arg("guard")
            .arg(json)
            .envs(&spec.env)
            .envs(leftovers::marks(&spec.log))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(wrap)?;
        let control = child.stdin.take();
        let (report, ended) = watch::channel(None);
        tokio::spawn(async move {
            report.send_replace(Some(wait(child, guard_spec).await));
        });
        Ok(Self {
            command,
            log: spec.log,
            control,
            ended,
        })
    }

    /// The command as it was started.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.borrow().clone()
    }

    /// Waits until the command and everything it started are gone.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        let seen = ended.wait_for(Option::is_some).await.ok();
        seen.and_then(|seen| seen.clone()).unwrap_or(Ended {
            code: None,
            signal: None,
            stopped: false,
            killed: false,
            log_failure: None,
        })
    }

    /// Asks it to end, kills it after the patience of its spec, and waits
    /// until nothing is left.
    pub async fn stop(mut self) -> Ended {
        if let Some(mut control) = self.control.take() {
            // A guard that is gone already has nothing left to stop.
            let _ = control.write_all(b"stop\n").await;
        }
        self.wait().await
    }
}

/// Waits for the guard's report. A guard that was killed has none, and what it
/// should have ended is ended here.
async fn wait(mut child: Child, spec: GuardSpec) -> Ended {
    let pid = child.id();
    let mut report = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        // What cannot be read is judged by the exit status below.
        let _ = out.read_to_end(&mut report).await;
    }
    let status = child.wait().await.ok();
    if let Ok(ended) = serde_json::from_slice(&report) {
        return ended;
    }
    if let Some(pid) = pid {
        let ending = tokio::task::spawn_blocking(move || {
            spec.ending.clean_up();
            leftovers::end_launch(pid, &spec.log);
        });
        let _ = ending.await;
    }
    Ended {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()),
        stopped: false,
        killed: false,
        log_failure: Some("the guard ended without a report".to_owned()),
    }
}
