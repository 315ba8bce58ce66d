//! Processes that a launch left behind, found in `/proc` and killed.
//!
//! A guard ends all of its engine. When the guard itself is killed, the kernel
//! kills the engine's first process with it, but not that one's children. They
//! are still in the guard's session, or carry the launch's mark in their
//! environment, or descend from such a process, or were inherited by the
//! supervisor, which is a child subreaper.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Every process of a launch inherits it: the path of the launch's log.
const MARK: &str = "SOTA_LOOP_LAUNCH_LOG";
/// Python's `setproctitle`, which engines use, overwrites the environment that
/// `/proc` shows unless this is set.
const KEEP_ENVIRONMENT: &str = "SPT_NOENV";

/// Variables of a launch by which its processes are found again.
pub(super) fn marks(log: &Path) -> [(&'static str, OsString); 2] {
    [
        (MARK, log.as_os_str().to_owned()),
        (KEEP_ENVIRONMENT, OsString::from("1")),
    ]
}

/// Makes this process the parent of every orphan below it.
#[cfg(target_os = "linux")]
pub fn adopt_orphans() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Elsewhere an engine's daemonised processes could not be ended.
#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans() -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "engines are launched on Linux only; here, read traces, reports and rows",
    ))
}

/// Kills what a guard that died left of its launch.
pub(super) fn end_launch(guard: u32, log: &Path) {
    let mark = mark_of(log);
    let adopts = adopts_orphans();
    let own = Process::of(std::process::id().cast_signed());
    end(|process| {
        let adopted = adopts
            && own.as_ref().is_some_and(|own| {
                process.parent == own.pid && process.session != own.session && !is_guard(process)
            });
        adopted || process.session == guard.cast_signed() || has_mark(process, &mark, false)
    });
}

/// Kills what launches with a log under `dir` left, whose guards and supervisor
/// are all gone.
pub fn end_launches_under(dir: &Path) {
    let mut mark = mark_of(dir);
    mark.push(b'/');
    end(|process| has_mark(process, &mark, true));
}

/// A process as `/proc` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    parent: i32,
    session: i32,
}

impl Process {
    /// None: it is gone, or only its exit status is left.
    fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state parent group session ...`; the name may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut words = rest.split_whitespace();
        let alive = !matches!(words.next()?, "Z" | "X");
        let parent = words.next()?.parse().ok()?;
        let session = words.nth(1)?.parse().ok()?;
        alive.then_some(Self {
            pid,
            parent,
            session,
        })
    }
}

fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Process::of(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Direct children that are alive.
pub(super) fn children_of(parent: u32) -> Vec<Pid> {
    processes()
        .into_iter()
        .filter(|process| process.parent == parent.cast_signed())
        .map(|process| Pid::from_raw(process.pid))
        .collect()
}

/// Kills the processes that belong and all below them, until none is found
/// twice: one that is just starting a program shows no environment.
fn end(belongs: impl Fn(&Process) -> bool) {
    let mut none_before = false;
    for _ in 0..500 {
        let left = with_descendants(&processes(), &belongs);
        if left.is_empty() && none_before {
            return;
        }
        none_before = left.is_empty();
        for pid in left {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            // Those that this process inherited are its own to reap.
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn with_descendants(all: &[Process], belongs: impl Fn(&Process) -> bool) -> HashSet<i32> {
    let own = std::process::id().cast_signed();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for process in all {
        children
            .entry(process.parent)
            .or_default()
            .push(process.pid);
    }
    let mut found = HashSet::new();
    let mut next: Vec<i32> = all
        .iter()
        .filter(|process| belongs(process))
        .map(|process| process.pid)
        .collect();
    while let Some(pid) = next.pop() {
        if pid > 1 && pid != own && found.insert(pid) {
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

fn mark_of(path: &Path) -> Vec<u8> {
    let mut mark = OsString::from(format!("{MARK}="));
    mark.push(path);
    mark.into_vec()
}

/// Whether the environment has the mark, whole or as the beginning of a variable.
fn has_mark(process: &Process, mark: &[u8], beginning: bool) -> bool {
    let path = format!("/proc/{}/environ", process.pid);
    // Another user's cannot be read.
    let environment = std::fs::read(path).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark || beginning && variable.starts_with(mark))
}

/// Whether it is a guard at work.
fn is_guard(process: &Process) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"guard")
}

#[cfg(target_os = "linux")]
fn adopts_orphans() -> bool {
    prctl::get_child_subreaper().unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn adopts_orphans() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            session: 0,
        }
    }

    #[test]
    fn what_descends_belongs_and_this_process_never_does() {
        let own = std::process::id().cast_signed();
        let all = [
            process(own, 1),
            process(20_000_001, own),
            process(20_000_002, 20_000_001),
            process(20_000_003, 20_000_002),
            process(20_000_004, 1),
        ];
        let found = with_descendants(&all, |process| {
            process.pid == 20_000_001 || process.pid == own || process.pid == 1
        });
        let mut found: Vec<i32> = found.into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, [20_000_001, 20_000_002, 20_000_003]);
    }

    #[test]
    fn a_mark_is_a_whole_variable_or_the_folder_above() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("server.log");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .envs(marks(&log))
            .spawn()
            .unwrap();
        let seen = Process::of(child.id().cast_signed()).unwrap();
        let other = mark_of(&dir.path().join("server"));
        while !has_mark(&seen, &mark_of(&log), false) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!has_mark(&seen, &other, false));
        end_launches_under(&dir.path().join("ser"));
        assert_eq!(child.try_wait().unwrap(), None);
        end_launches_under(dir.path());
        assert_eq!(Process::of(child.id().cast_signed()), None);
        let _ = child.wait();
    }
}
