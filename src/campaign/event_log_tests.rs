use serde_json::json;

use super::*;

fn log() -> (tempfile::TempDir, EventLog) {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::at(&dir.path().join("humanize/lineage.jsonl"));
    (dir, log)
}

fn event(n: u32) -> NewEvent {
    NewEvent::new(EventKind::GapChecked, json!({"n": n}))
}

#[test]
fn events_come_back_in_order_and_chained() {
    let (_dir, log) = log();
    for n in 0..3 {
        log.append(event(n)).unwrap();
    }
    let events = log.read().unwrap();
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[0].prev_sha256, "");
    assert_eq!(events[2].prev_sha256, events[1].sha256);
}

#[test]
fn a_torn_last_line_is_cut_off_and_reported() {
    let (_dir, log) = log();
    log.append(event(0)).unwrap();
    let mut text = std::fs::read_to_string(log.path()).unwrap();
    text.push_str("{\"seq\": 2, \"ti");
    std::fs::write(log.path(), text).unwrap();
    assert_eq!(log.read().unwrap().len(), 1);
    let appended = log.append(event(1)).unwrap();
    assert_eq!(appended.torn_tail.as_deref(), Some("{\"seq\": 2, \"ti"));
    assert_eq!(appended.event.seq, 2);
    assert_eq!(log.read().unwrap().len(), 2);
}

#[test]
fn an_edit_breaks_the_chain_at_its_line() {
    let (_dir, log) = log();
    for n in 0..3 {
        log.append(event(n)).unwrap();
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    std::fs::write(log.path(), text.replace("\"n\":1", "\"n\":7")).unwrap();
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("lineage.jsonl:2:"), "{error}");
    assert!(log.append(event(9)).is_err());

    let without: String = text
        .lines()
        .enumerate()
        .filter(|(i, _)| *i != 1)
        .map(|(_, l)| format!("{l}\n"))
        .collect();
    std::fs::write(log.path(), without).unwrap();
    assert!(
        log.read()
            .unwrap_err()
            .to_string()
            .contains(":2: it does not follow")
    );
}

#[test]
fn appends_of_many_threads_are_neither_lost_nor_mixed() {
    let (_dir, log) = log();
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
    let mut seen: Vec<u64> = log
        .read()
        .unwrap()
        .iter()
        .map(|event| event.body["n"].as_u64().unwrap())
        .collect();
    seen.sort_unstable();
    let wanted: Vec<u64> = (0..4)
        .flat_map(|n| (0..10).map(move |m| n * 100 + m))
        .collect();
    assert_eq!(seen, wanted);
}

#[test]
fn secrets_do_not_reach_the_log() {
    let (_dir, log) = log();
    let body = json!({"note": ["token hf_abcdefghijkl"]});
    log.append(NewEvent::new(EventKind::GapChecked, body))
        .unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    assert!(!text.contains("abcdefghijkl"));
    assert_eq!(log.read().unwrap().len(), 1);
}
