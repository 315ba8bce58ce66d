//! Which rows and candidates stand for a framework.

use super::*;

#[test]
fn a_leader_must_pass_the_sla_in_every_repeat() {
    let lines = [
        row("sglang", "c0", 0, 100.0),
        row("sglang", "c0", 1, 100.0),
        row("vllm", "fast", 0, 130.0),
        with(row("vllm", "fast", 1, 130.0), "/sla/passed", false.into()),
        row("vllm", "steady", 0, 101.0),
        row("vllm", "steady", 1, 101.0),
        row("trtllm", "c0", 0, 110.0),
        failed("trtllm", "c0", 1, "CUDA out of memory"),
    ];
    let gap = only(&rows(&lines));
    let leader = gap.leader.unwrap();
    assert_eq!(
        (&*leader.framework, &*leader.candidate_id),
        ("vllm", "steady")
    );
    assert_eq!(gap.others[1].framework, "trtllm");
    assert!(!gap.others[1].sla_passed);
}

#[test]
fn a_comparison_that_never_ran_is_no_win() {
    let lines = [
        row("sglang", "c0", 0, 100.0),
        failed("vllm", "c0", 0, "no module named vllm"),
    ];
    let record = checked(&rows(&lines));
    assert_eq!(record.scenarios[0].verdict, Verdict::Blocked);
    assert_eq!(record.decision, Decision::Blocked);
    let leader = record.scenarios[0].leader.as_ref().unwrap();
    assert_eq!(leader.failures, ["repeat 0: oom: no module named vllm"]);
    // Alone in the file: blocked too.
    assert_eq!(
        checked(&rows(&[row("sglang", "c0", 0, 100.0)])).decision,
        Decision::Blocked
    );
}

#[test]
fn skipped_candidates_say_nothing() {
    let mut skipped = row("vllm", "c1", 0, 1.0);
    skipped["status"] = "skipped".into();
    skipped["metrics"] = serde_json::Value::Null;
    let lines = [
        row("sglang", "c0", 0, 100.0),
        row("vllm", "c0", 0, 90.0),
        skipped,
    ];
    let record = checked(&rows(&lines));
    assert_eq!(record.scenarios[0].verdict, Verdict::Ahead);
    assert!(
        record.warnings.iter().any(|w| w.contains("vllm/c1")),
        "{:?}",
        record.warnings
    );
}

#[test]
fn the_targets_best_candidate_counts_but_luck_on_one_repeat_does_not() {
    let mut lines: Vec<_> = (0..3).map(|i| row("vllm", "c0", i, 100.0)).collect();
    lines.extend((0..3).map(|i| row("sglang", "slow", i, 90.0)));
    lines.extend((0..3).map(|i| row("sglang", "repeated", i, 100.0 - f64::from(i))));
    // Better than the mean of `repeated` (99) but hardly than its repeat 0 (100).
    lines.push(row("sglang", "lucky", 0, 101.0));
    let record = checked(&rows(&lines));
    assert_eq!(
        record.scenarios[0].target.as_ref().unwrap().candidate_id,
        "repeated"
    );
    assert!(
        record.warnings.iter().any(|w| w.contains("sglang/lucky")),
        "{:?}",
        record.warnings
    );
    // Clearly better on the shared repeat: it counts.
    lines.push(row("sglang", "better", 0, 110.0));
    let record = checked(&rows(&lines));
    assert_eq!(
        record.scenarios[0].target.as_ref().unwrap().candidate_id,
        "better"
    );
    assert_eq!(record.scenarios[0].n, 1);
}

#[test]
fn of_duplicate_rows_the_last_ok_one_counts() {
    let lines = [
        row("sglang", "c0", 0, 50.0),
        row("sglang", "c0", 0, 100.0),
        failed("sglang", "c0", 0, "retry was killed"),
        failed("vllm", "c0", 0, "port in use"),
        row("vllm", "c0", 0, 80.0),
    ];
    let record = checked(&rows(&lines));
    assert_eq!(record.scenarios[0].pairs[0].target, 100.0);
    assert_eq!(record.scenarios[0].pairs[0].leader, 80.0);
    assert!(record.scenarios[0].target.as_ref().unwrap().sla_passed);
    assert!(
        record.warnings[0].contains("sglang/c0 repeat 0"),
        "{:?}",
        record.warnings
    );
}

#[test]
fn a_zero_or_absent_metric_is_missing_and_never_zero() {
    let lines = [
        row("sglang", "c0", 0, 100.0),
        with(
            row("sglang", "c0", 1, 1.0),
            "/metrics/request_throughput",
            0.into(),
        ),
        with(
            row("sglang", "c0", 2, 1.0),
            "/metrics/request_throughput",
            serde_json::Value::Null,
        ),
        row("vllm", "c0", 0, 90.0),
        row("vllm", "c0", 1, 90.0),
        row("vllm", "c0", 2, 90.0),
    ];
    let record = checked(&rows(&lines));
    let gap = &record.scenarios[0];
    assert_eq!((gap.n, gap.target.as_ref().unwrap().mean), (1, Some(100.0)));
    assert!(record.warnings[0].contains("sglang/c0 repeat 1 (0), sglang/c0 repeat 2 (absent)"));
    assert!(record.warnings[1].contains("1 pairs from 1 repeats of the target and 3"));
}

#[test]
fn pairs_stay_within_one_job_and_smoke_rows_do_not_count() {
    let of = |mut row: serde_json::Value, job: &str, label: &str| {
        row["job_id"] = job.into();
        row["label"] = label.into();
        row
    };
    let lines = [
        of(row("sglang", "c0", 0, 10.0), "old", "baseline"),
        of(row("vllm", "c0", 0, 90.0), "old", "baseline"),
        of(row("sglang", "c0", 0, 100.0), "new", "baseline"),
        of(row("vllm", "c0", 0, 90.0), "new", "baseline"),
        of(row("sglang", "c0", 0, 1.0), "last", "smoke"),
    ];
    let record = checked(&rows(&lines));
    assert_eq!(record.scenarios[0].verdict, Verdict::Ahead);
    assert!(
        record.warnings[0].contains("2 rows of other jobs"),
        "{:?}",
        record.warnings
    );
    let old = GapRequest {
        job_id: Some("old".into()),
        ..GapRequest::new("sglang")
    };
    let record = check(&old, &rows(&lines)).unwrap();
    assert_eq!(record.scenarios[0].verdict, Verdict::Behind);
    let none = GapRequest {
        label: Some("revalidation".into()),
        ..GapRequest::new("sglang")
    };
    let error = check(&none, &rows(&lines)).unwrap_err().to_string();
    assert_eq!(error, "there are no rows with label `revalidation`");
}

#[test]
fn pairs_that_share_a_launch_are_pointed_out() {
    let launched = |mut row: serde_json::Value, launch: u32| {
        row["launch"] = launch.into();
        row
    };
    let lines = [
        launched(row("sglang", "c0", 0, 100.0), 1),
        launched(row("sglang", "c0", 1, 100.0), 3),
        launched(row("vllm", "c0", 0, 90.0), 2),
        launched(row("vllm", "c0", 1, 90.0), 2),
    ];
    let record = checked(&rows(&lines));
    assert_eq!(
        record.scenarios[0].target.as_ref().unwrap().launches,
        Some(2)
    );
    assert_eq!(
        record.scenarios[0].leader.as_ref().unwrap().launches,
        Some(1)
    );
    assert!(record.warnings[0].contains("2 pairs rest on one server launch"));
}
