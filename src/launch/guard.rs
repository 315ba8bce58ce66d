//! The guard: parent of one engine, and the end of everything that it started.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, setsid};
use serde::{Deserialize, Serialize};

use super::ending::{Ending, run_for};
use super::leftovers::{adopt_orphans, children_of};
use super::process::Ended;
use crate::redact::redact;

/// What one guard runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GuardSpec {
    pub argv: Vec<String>,
    pub cwd: Option<PathBuf>,
    /// Output of the command, secrets replaced.
    pub log: PathBuf,
    /// From the polite signal to the kill.
    pub stop: Duration,
    /// What ends it beside its process group.
    #[serde(default)]
    pub ending: Ending,
}

const POLL: Duration = Duration::from_millis(20);

/// Runs the command until it ends, or until `control` ends or says `stop`;
/// then ends every process that it left. Returns how the command ended.
///
/// The process is a child subreaper, so that even a daemonised grandchild is
/// found as a descendant.
pub fn guard(spec: &GuardSpec, control: impl Read + Send + 'static) -> io::Result<Ended> {
    adopt_orphans()?;
    // By its session, what is left is found when this process is killed. Who
    // leads a group already, as below a shell, cannot have one.
    let _ = setsid();
    let mut child = spawn(spec)?;
    let pump = pump_log(&mut child, &spec.log)?;
    let stop_asked = watch_control(control);
    let group = Pid::from_raw(child.id().cast_signed());
    let mut stopped = false;
    let mut killed = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop_asked.load(Ordering::Acquire) {
            stopped = true;
            killed = end_group(group, spec, &mut child)?;
            break child.wait()?;
        }
        std::thread::sleep(POLL);
    };
    spec.ending.clean_up();
    kill_leftovers(group);
    // The pump ends with the last writer of the pipe, all of which are gone.
    let log_failure = pump.join().ok().flatten();
    Ok(ended(status, stopped, killed, log_failure))
}

fn spawn(spec: &GuardSpec) -> io::Result<Child> {
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    #[cfg(target_os = "linux")]
    // SAFETY: prctl is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    command.spawn()
}

/// Copies both output streams into the log, secrets replaced. A failed write
/// is remembered, and the engine goes on: a full disk must not block it.
fn pump_log(child: &mut Child, path: &Path) -> io::Result<std::thread::JoinHandle<Option<String>>> {
    let log = OpenOptions::new().create(true).append(true).open(path)?;
    let log = Arc::new(log);
    let second = child
        .stderr
        .take()
        .map(|stream| copy_lines(stream, Arc::clone(&log)));
    let first = child.stdout.take().map(|stream| copy_lines(stream, log));
    Ok(std::thread::spawn(move || {
        [first, second]
            .into_iter()
            .flatten()
            .filter_map(|thread| thread.join().ok().flatten())
            .next()
    }))
}

fn copy_lines(
    stream: impl Read + Send + 'static,
    log: Arc<std::fs::File>,
) -> std::thread::JoinHandle<Option<String>> {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut failure = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            match read_line(&mut reader, &mut line) {
                Ok(0) | Err(_) => return failure,
                Ok(_) => {}
            }
            // A progress bar redraws with `\r`: each state becomes a line.
            let text = String::from_utf8_lossy(&line).replace('\r', "\n");
            if let Err(error) = (&*log).write_all(redact(&text).as_bytes()) {
                failure.get_or_insert(error.to_string());
            }
        }
    })
}

/// Reads up to `\n` or `\r`, at most 64 KiB.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    const MOST: usize = 64 << 10;
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(line.len());
        }
        let end = memchr::memchr2(b'\n', b'\r', available).map(|at| at + 1);
        let taken = end.unwrap_or(available.len());
        line.extend_from_slice(&available[..taken]);
        reader.consume(taken);
        if end.is_some() || line.len() >= MOST {
            return Ok(line.len());
        }
    }
}

/// Set when the owner says `stop` or is gone.
fn watch_control(control: impl Read + Send + 'static) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        let mut line = String::new();
        // One line or the end of the stream: both mean stop.
        let _ = BufReader::new(control).read_line(&mut line);
        set.store(true, Ordering::Release);
    });
    flag
}

/// Asks the group to end, then kills it. Tells whether a kill was needed.
fn end_group(group: Pid, spec: &GuardSpec, child: &mut Child) -> io::Result<bool> {
    let deadline = Instant::now() + spec.stop;
    match &spec.ending.stop {
        Some(command) => run_for(command, spec.stop),
        None => {
            let _ = killpg(group, Signal::SIGTERM);
        }
    }
    while Instant::now() < deadline {
        let gone = child.try_wait()?.is_some();
        if gone && killpg(group, None).is_err() {
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
    let _ = killpg(group, Signal::SIGKILL);
    Ok(true)
}

/// Kills what is left of the group, and every descendant that left the group,
/// until none is found.
fn kill_leftovers(group: Pid) {
    for _ in 0..500 {
        let in_group = killpg(group, Signal::SIGKILL).is_ok();
        let children = children_of(std::process::id());
        for pid in &children {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {
        }
        if !in_group && children.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(status: ExitStatus, stopped: bool, killed: bool, log_failure: Option<String>) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    Ended {
        code: status.code(),
        signal: status.signal(),
        stopped,
        killed,
        log_failure,
    }
}
