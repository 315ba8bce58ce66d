//! A process that is killed anywhere in an append loses nothing that was
//! acknowledged, and leaves nothing that stands in the next one's way.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::*;
use crate::campaign::events::{EventKind, Paused};
use crate::crash::{self, Point};

const CHILD: &str = "campaign::log::crash_tests::the_process_that_is_killed";

/// What the append that is killed finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Neither a log nor a state folder.
    Nothing,
    Log,
    /// A log with a half-written line behind it.
    TornLog,
    /// A log that another user's programs wrote: it is adopted first.
    ForeignLog,
}

const BEFORE: [Before; 4] = [
    Before::Nothing,
    Before::Log,
    Before::TornLog,
    Before::ForeignLog,
];

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
        .filter(|event| event.kind == EventKind::Paused)
        .map(|event| event.body::<Paused>().unwrap().reason)
        .collect()
}

/// Sets the scene; returns the events that were acknowledged.
fn prepare(dir: &Path, kind: LockKind, before: Before) -> Vec<&'static str> {
    if before == Before::Nothing {
        return Vec::new();
    }
    let log = log_in(dir, kind);
    log.append(event(0)).unwrap();
    log.append(event(1)).unwrap();
    match before {
        Before::TornLog => {
            let mut text = std::fs::read_to_string(log.path()).unwrap();
            text.push_str("{\"seq\": 3, \"ti");
            std::fs::write(log.path(), text).unwrap();
        }
        Before::ForeignLog => std::fs::remove_dir_all(dir.join("state")).unwrap(),
        _ => {}
    }
    vec!["0", "1"]
}

/// Appends event 2 in a child process that dies at `at`; false where the
/// append does not come by there and ends well.
fn append_and_die(dir: &Path, kind: LockKind, at: Point) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--nocapture"])
        .env("SOTA_TEST_CRASH", format!("{at:?} {kind:?}"))
        .env("SOTA_TEST_CRASH_DIR", dir)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    let killed = status.signal() == Some(nix::sys::signal::Signal::SIGKILL as i32);
    assert!(killed || status.success(), "{at:?}: {status}");
    killed
}

/// Alone it appends one event; as a child of the test below it dies at it.
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
    crash::arm(point);
    log_in(&dir, kind).append(event(2)).unwrap();
}

/// Whether event 2 is in the log when its process dies at `at`.
fn survives(at: Point, before: Before) -> bool {
    // The first line that is written is the adoption's, and its head makes the
    // file that the next one overwrites.
    let overwrites = matches!(at, Point::HalfHead | Point::HeadWritten);
    let of_the_event = before != Before::ForeignLog || overwrites;
    let is_whole = matches!(
        at,
        Point::WholeLine | Point::LineSynced | Point::Aside | Point::HalfHead | Point::HeadWritten
    );
    of_the_event && is_whole
}

/// What lies empty for so long is taken for dead.
fn age(owner: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    let file = OpenOptions::new().write(true).open(owner).unwrap();
    file.set_modified(long_ago).unwrap();
}

#[test]
fn no_acknowledged_event_is_lost_at_any_point() {
    let mut reached = Vec::new();
    for kind in [LockKind::Kernel, LockKind::OwnerFile] {
        for before in BEFORE {
            for at in crash::ALL {
                let dir = tempfile::tempdir().unwrap();
                let mut wanted = prepare(dir.path(), kind, before);
                let killed = append_and_die(dir.path(), kind, at);
                if killed {
                    reached.push(at);
                }
                if !killed || survives(at, before) {
                    wanted.push("2");
                }
                let place = format!("{at:?}, {before:?}, {kind:?}");
                let log = log_in(dir.path(), kind);
                if killed && at == Point::OwnerEmpty {
                    age(&log.path().with_extension("owner"));
                }
                assert_eq!(numbers(&log), wanted, "{place}");
                let appended = log.append(event(3)).unwrap();
                let torn = at == Point::HalfLine
                    || before == Before::TornLog
                        && matches!(at, Point::OwnerEmpty | Point::Locked)
                        && killed;
                assert_eq!(appended.torn_tail.is_some(), torn, "{place}");
                wanted.push("3");
                assert_eq!(numbers(&log), wanted, "{place}");
            }
        }
    }
    for at in crash::ALL {
        assert!(reached.contains(&at), "no append came by {at:?}");
    }
}
