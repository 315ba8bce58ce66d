//! A process that is killed in the middle of an append loses nothing that was
//! acknowledged, and leaves nothing that stands in the next one's way.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use super::crash::{self, Point};
use super::*;
use crate::campaign::events::Paused;

const CHILD: &str = "campaign::log::crash_tests::the_process_that_is_killed";

fn log_in(dir: &Path, kind: LockKind) -> EventLog {
    EventLog::at(&dir.join("humanize/lineage.jsonl"))
        .with_state_dir(&dir.join("state"))
        .with_lock(kind)
}

fn event(n: u32) -> NewEvent {
    NewEvent::of(&Paused {
        reason: n.to_string(),
    })
}

fn numbers(log: &EventLog) -> Vec<String> {
    let events = log.read().unwrap();
    events
        .iter()
        .map(|event| event.body::<Paused>().unwrap().reason)
        .collect()
}

/// Appends in a child process that dies at `at`; true when it was killed there.
fn append_and_die(dir: &Path, kind: LockKind, at: Point) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env("SOTA_TEST_CRASH", format!("{at:?} {kind:?}"))
        .env("SOTA_TEST_CRASH_DIR", dir)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    status.signal() == Some(nix::sys::signal::Signal::SIGKILL as i32)
}

/// Alone it appends one event; as a child of the tests below it dies at it.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os("SOTA_TEST_CRASH_DIR").map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        let log = log_in(dir.path(), LockKind::Kernel);
        log.append(event(0)).unwrap();
        assert_eq!(numbers(&log), ["0"]);
        return;
    };
    let said = std::env::var("SOTA_TEST_CRASH").unwrap();
    let (at, kind) = said.split_once(' ').unwrap();
    let point = crash::ALL
        .into_iter()
        .find(|point| format!("{point:?}") == at)
        .unwrap();
    let kind = match kind {
        "Kernel" => LockKind::Kernel,
        _ => LockKind::OwnerFile,
    };
    let log = log_in(&dir, kind);
    log.append(event(1)).unwrap();
    crash::arm(point);
    log.append(event(2)).unwrap();
    unreachable!("the process should have been killed at {at}");
}

#[test]
fn no_acknowledged_event_is_lost_at_any_point() {
    for kind in [LockKind::Kernel, LockKind::OwnerFile] {
        for at in crash::ALL {
            let dir = tempfile::tempdir().unwrap();
            let log = log_in(dir.path(), kind);
            log.append(event(0)).unwrap();
            assert!(append_and_die(dir.path(), kind, at), "{at:?}");
            let survived = matches!(at, Point::WholeLine | Point::Synced);
            let mut wanted = vec!["0", "1"];
            if survived {
                wanted.push("2");
            }
            assert_eq!(numbers(&log), wanted, "{at:?}, {kind:?}");

            let appended = log.append(event(3)).unwrap();
            assert_eq!(
                appended.torn_tail.is_some(),
                at == Point::HalfLine,
                "{at:?}"
            );
            wanted.push("3");
            assert_eq!(numbers(&log), wanted, "{at:?}, {kind:?}");
        }
    }
}
