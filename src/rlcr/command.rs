//! A short command run to its end, with its whole output.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::error::RlcrError;
use crate::redact::redact;

/// Most of a command's output that is kept.
const MOST: u64 = 1 << 20;

/// A command that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub argv: Vec<String>,
    /// None when a signal or the time limit ended it.
    pub exit: Option<i32>,
    /// Standard output and error as they came, secrets replaced.
    pub output: String,
}

impl Finished {
    pub fn how(&self) -> String {
        match self.exit {
            Some(code) => format!("ended with exit status {code}"),
            None => "was ended by a signal or its time limit".to_owned(),
        }
    }
}

/// Runs `argv` in `folder`; its group is killed when `patience` is over.
pub fn run(
    argv: Vec<String>,
    folder: &Path,
    env: &[(&str, &Path)],
    patience: Duration,
) -> Result<Finished, RlcrError> {
    let (program, arguments) = argv
        .split_first()
        .map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    let wrap = |source| RlcrError::Start {
        program: PathBuf::from(program),
        source,
    };
    let (mut reader, writer) = std::io::pipe().map_err(wrap)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(wrap)?)
        .stderr(writer)
        .process_group(0);
    let mut child = command.spawn().map_err(wrap)?;
    // The command holds the pipe's other ends, which the reader waits for.
    drop(command);
    let output = std::thread::spawn(move || {
        let mut output = Vec::new();
        // What could not be read is missing from the output; the exit status decides.
        let _ = reader.by_ref().take(MOST).read_to_end(&mut output);
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        output
    });
    let group = Pid::from_raw(child.id().cast_signed());
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(wrap)? {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // Whatever it left behind would keep the pipe open.
    let _ = killpg(group, Signal::SIGKILL);
    let output = output.join().unwrap_or_default();
    Ok(Finished {
        exit: status.and_then(|status| status.code()),
        output: redact(&String::from_utf8_lossy(&output)).into_owned(),
        argv,
    })
}
