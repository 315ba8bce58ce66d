use super::*;
use crate::campaign::events::{Paused, Resumed};

struct Place {
    dir: tempfile::TempDir,
    log: EventLog,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::at(&dir.path().join("campaign/humanize/lineage.jsonl"))
        .with_state_dir(&dir.path().join("state"));
    Place { dir, log }
}

fn event(n: u32) -> NewEvent {
    NewEvent::of(&Paused {
        reason: n.to_string(),
    })
}

fn numbers(log: &EventLog) -> Vec<u32> {
    let events = log.read().unwrap();
    let reason = |event: &Event| event.body::<Paused>().unwrap().reason.parse().unwrap();
    events.iter().map(reason).collect()
}

#[test]
fn events_come_back_in_order_and_chained() {
    let place = place();
    for n in 0..3 {
        place.log.append(event(n)).unwrap();
    }
    let events = place.log.read().unwrap();
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[0].prev_sha256, "");
    assert_eq!(events[2].prev_sha256, events[1].sha256);
    assert_eq!(numbers(&place.log), [0, 1, 2]);
}

#[test]
fn a_torn_last_line_is_cut_off_and_reported() {
    let Place { dir: _dir, log } = place();
    log.append(event(0)).unwrap();
    let mut text = std::fs::read_to_string(log.path()).unwrap();
    text.push_str("{\"seq\": 2, \"ti");
    std::fs::write(log.path(), text).unwrap();
    assert_eq!(log.read().unwrap().len(), 1);
    let appended = log.append(event(1)).unwrap();
    assert_eq!(appended.torn_tail.as_deref(), Some("{\"seq\": 2, \"ti"));
    assert_eq!(appended.event.seq, 2);
    assert_eq!(numbers(&log), [0, 1]);
}

#[test]
fn an_edit_breaks_the_chain_at_its_line() {
    let Place { dir: _dir, log } = place();
    for n in 0..3 {
        log.append(event(n)).unwrap();
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    std::fs::write(
        log.path(),
        text.replace("\"reason\":\"1\"", "\"reason\":\"7\""),
    )
    .unwrap();
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("lineage.jsonl:2:"), "{error}");

    let without: String = text
        .lines()
        .enumerate()
        .filter(|(i, _)| *i != 1)
        .map(|(_, l)| format!("{l}\n"))
        .collect();
    std::fs::write(log.path(), without).unwrap();
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains(":2: it does not follow"), "{error}");
}

/// A line that is chained as it should be, but that no server wrote.
#[test]
fn a_forged_line_a_cut_line_and_a_changed_last_line_do_not_fit_the_head() {
    let Place { dir: _dir, log } = place();
    for n in 0..3 {
        log.append(event(n)).unwrap();
    }
    let whole = std::fs::read_to_string(log.path()).unwrap();
    let is_tampered = |text: &str| {
        std::fs::write(log.path(), text).unwrap();
        let fault = crate::fault::Fault::from(log.read().unwrap_err());
        assert_eq!(fault.error, crate::fault::FaultCode::LogTampered);
        assert!(log.append(event(9)).is_err());
    };
    let lines: Vec<&str> = whole.lines().collect();
    is_tampered(&format!("{}\n{}\n", lines[0], lines[1]));

    let last = chain::parse(lines[2].as_bytes()).unwrap();
    let unmarked = |_: &str| String::new();
    let (_, forged) = chain::next(log.path(), unmarked, Some(&last), event(3), Vec::new()).unwrap();
    is_tampered(&format!("{whole}{forged}"));

    let before = chain::parse(lines[1].as_bytes()).unwrap();
    let (_, other) =
        chain::next(log.path(), unmarked, Some(&before), event(7), Vec::new()).unwrap();
    is_tampered(&format!("{}\n{}\n{other}", lines[0], lines[1]));

    std::fs::write(log.path(), &whole).unwrap();
    log.append(event(3)).unwrap();
}

/// After a power cut the head may be older than the log; the marks of the lines
/// answer for the rest.
#[test]
fn a_head_that_lags_is_no_tampering() {
    let Place { dir, log } = place();
    log.append(event(0)).unwrap();
    let head = std::fs::read_dir(dir.path().join("state/heads"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .next()
        .unwrap();
    let old = std::fs::read(&head).unwrap();
    for n in 1..4 {
        log.append(event(n)).unwrap();
    }
    std::fs::write(&head, old).unwrap();
    assert_eq!(numbers(&log), [0, 1, 2, 3]);
    log.append(event(4)).unwrap();
    assert_eq!(numbers(&log), [0, 1, 2, 3, 4]);
    std::fs::write(&head, b"spoilt").unwrap();
    assert!(log.read().is_err());
}

#[test]
fn a_log_that_another_user_wrote_is_taken_over_in_the_open() {
    let Place { dir, log } = place();
    log.append(event(0)).unwrap();
    let elsewhere = log.clone().with_state_dir(&dir.path().join("other"));
    assert_eq!(elsewhere.read().unwrap().len(), 1);
    elsewhere.append(event(1)).unwrap();
    let kinds: Vec<_> = elsewhere.read().unwrap().iter().map(|e| e.kind).collect();
    use crate::campaign::EventKind::{LogAdopted, Paused};
    assert_eq!(kinds, [Paused, LogAdopted, Paused]);
}

#[test]
fn appends_of_many_threads_are_neither_lost_nor_mixed() {
    for kind in [LockKind::Kernel, LockKind::OwnerFile] {
        let place = place();
        let log = place.log.clone().with_lock(kind);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let log = &log;
                scope.spawn(move || {
                    for m in 0..10 {
                        log.append(event(n * 100 + m)).unwrap();
                    }
                });
            }
        });
        let mut seen = numbers(&log);
        seen.sort_unstable();
        let wanted: Vec<u32> = (0..4)
            .flat_map(|n| (0..10).map(move |m| n * 100 + m))
            .collect();
        assert_eq!(seen, wanted, "{kind:?}");
    }
}

#[test]
fn a_decision_and_its_entry_are_one_step() {
    let Place { dir: _dir, log } = place();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let log = &log;
            scope.spawn(move || {
                log.append_after(|events| -> Result<_, CampaignError> {
                    Ok(events.is_empty().then(|| event(0)))
                })
                .unwrap();
            });
        }
    });
    assert_eq!(log.read().unwrap().len(), 1);
}

#[test]
fn secrets_do_not_reach_the_log() {
    let Place { dir: _dir, log } = place();
    log.append(NewEvent::of(&Resumed {
        reason: Some("token hf_abcdefghijkl".to_owned()),
    }))
    .unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    assert!(!text.contains("abcdefghijkl"));
    assert_eq!(log.read().unwrap().len(), 1);
}

#[test]
fn a_file_that_grows_keeps_the_hash_of_its_first_part() {
    let Place { dir, log } = place();
    let rows = dir.path().join("rows.jsonl");
    std::fs::write(&rows, b"abc").unwrap();
    let event = log.append(event(0).on_growing(&rows)).unwrap().event;
    assert_eq!(event.files[0].bytes, Some(3));
    assert_eq!(event.files[0].sha256, sha256::hex(b"abc"));
}
