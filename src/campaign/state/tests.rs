use super::*;
use crate::campaign::log::{EventLog, NewEvent};

#[test]
fn pausing_and_resuming_and_rounds_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::at(&dir.path().join("lineage.jsonl")).with_state_dir(dir.path());
    let fold = || State::fold(log.path(), &log.read().unwrap()).unwrap();
    assert_eq!(fold().phase(), Phase::Baseline);
    let pause = Paused {
        reason: "night".to_owned(),
    };
    log.append(NewEvent::of(&pause)).unwrap();
    assert_eq!(fold().phase(), Phase::Paused);
    log.append(NewEvent::of(&Resumed { reason: None })).unwrap();
    assert_eq!(fold().phase(), Phase::Baseline);
    let ended = RoundEnded {
        summary: "one".to_owned(),
        next_patch: None,
        accepted: Vec::new(),
        improvement_pct: None,
        gap_pct: None,
    };
    log.append(NewEvent::of(&ended)).unwrap();
    let state = fold();
    assert_eq!((state.round(), state.round_began()), (1, 3));
    assert_eq!(state.progress()[0].round, 0);
}

#[test]
fn only_a_gap_of_the_campaigns_own_target_and_metric_decides() {
    use crate::campaign::sample;
    use crate::gap::Verdict;
    let dir = tempfile::tempdir().unwrap();
    let log = EventLog::at(&dir.path().join("lineage.jsonl")).with_state_dir(dir.path());
    let won = || {
        let ahead = sample::scenario(Verdict::Ahead, 3.0, 0.5);
        sample::gap(BenchmarkLabel::Revalidation, sample::TREE, ahead)
    };
    for (target, metric) in [
        ("sglang", "success_rate"),
        ("vllm", "request_throughput"),
        ("sglang", "request_throughput"),
    ] {
        let mut gap = won();
        target.clone_into(&mut gap.record.target);
        metric.clone_into(&mut gap.record.metric);
        log.append(NewEvent::of(&gap)).unwrap();
    }
    let state = State::fold(log.path(), &log.read().unwrap()).unwrap();
    let deciding: Vec<u64> = state.gaps.iter().map(|gap| gap.seq).collect();
    assert_eq!(deciding, [3]);
}
