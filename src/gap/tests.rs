use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// One line of `candidates.jsonl`, with the keys that a test does not care for left out.
fn row(framework: &str, candidate: &str, repeat: u32, throughput: f64) -> serde_json::Value {
    serde_json::json!({
        "framework": framework,
        "candidate_id": candidate,
        "status": "ok",
        "repeat": repeat,
        "workload": {"kind": "random", "scenario": "chat", "input_len": 1000, "output_len": 1000,
                     "num_prompts": 80, "request_rate": null, "max_concurrency": null},
        "sla": {"max_p50_ttft_ms": 20000, "passed": true},
        "metrics": {
            "request_throughput": throughput,
            "output_token_throughput": throughput * 1000.0,
            "total_token_throughput": throughput * 2000.0,
            "p50_ttft_ms": 1000.0 / throughput,
            "p99_itl_ms": null
        }
    })
}

fn with(mut row: serde_json::Value, path: &str, value: serde_json::Value) -> serde_json::Value {
    *row.pointer_mut(path).unwrap() = value;
    row
}

fn failed(framework: &str, candidate: &str, repeat: u32, reason: &str) -> serde_json::Value {
    let mut row = row(framework, candidate, repeat, 1.0);
    row["status"] = "oom".into();
    row["failure_reason"] = reason.into();
    row["metrics"] = serde_json::json!({});
    row["sla"] = serde_json::json!({"passed": false});
    row
}

fn rows(lines: &[serde_json::Value]) -> Rows {
    Rows {
        rows: lines
            .iter()
            .map(|line| serde_json::from_str(&line.to_string()).unwrap())
            .collect(),
        warnings: Vec::new(),
    }
}

/// Pairs of `mine` and `theirs` at repeats 0, 1, …
fn versus(target: &[f64], leader: &[f64]) -> Rows {
    let side = |framework: &'static str, values: &[f64]| -> Vec<serde_json::Value> {
        values
            .iter()
            .enumerate()
            .map(|(repeat, value)| row(framework, "c0", repeat as u32, *value))
            .collect()
    };
    rows(&[side("sglang", target), side("vllm", leader)].concat())
}

fn checked(rows: &Rows) -> GapRecord {
    check(&GapRequest::new("sglang"), rows).unwrap()
}

fn only(rows: &Rows) -> ScenarioGap {
    let record = checked(rows);
    assert_eq!(record.scenarios.len(), 1);
    record.scenarios.into_iter().next().unwrap()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn three_pairs_give_the_interval_worked_out_by_hand() {
    // ln(98/100), ln(97/100), ln(99/100): mean −0.020235…, s = 0.010205…, t(2) = 4.302653.
    let gap = only(&versus(&[98.0, 97.0, 99.0], &[100.0, 100.0, 100.0]));
    let logs = [0.98_f64.ln(), 0.97_f64.ln(), 0.99_f64.ln()];
    let mean = logs.iter().sum::<f64>() / 3.0;
    let spread = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let half = 4.302_652_729_911_275 * spread / 3.0_f64.sqrt();
    near(gap.gap_pct.unwrap(), mean.exp_m1() * 100.0);
    let [low, high] = gap.ci_pct.unwrap();
    near(low, (mean - half).exp_m1() * 100.0);
    near(high, (mean + half).exp_m1() * 100.0);
    assert_eq!((gap.verdict, gap.n), (Verdict::Undecided, 3));
}

#[test]
fn verdicts_follow_the_bounds() {
    let leader = [100.0, 100.0, 100.0];
    for (target, verdict, not_behind) in [
        ([102.0, 102.1, 102.2], Verdict::Ahead, true),
        ([98.0, 98.1, 97.9], Verdict::Behind, false),
        ([100.1, 100.0, 99.9], Verdict::Tied, true),
        // Above −1% but over +1%: not yet named, yet shown to be no worse.
        ([101.0, 101.2, 100.8], Verdict::Undecided, true),
        ([98.9, 99.1, 99.0], Verdict::Undecided, false),
    ] {
        let gap = only(&versus(&target, &leader));
        assert_eq!(
            (gap.verdict, gap.not_behind),
            (verdict, not_behind),
            "{target:?}"
        );
    }
}

#[test]
fn one_pair_decides_only_beyond_five_percent() {
    for (target, verdict, needed) in [
        (95.0, Verdict::Behind, None),
        (95.5, Verdict::Undecided, Some(3)),
        (104.9, Verdict::Undecided, Some(3)),
        (105.1, Verdict::Ahead, None),
    ] {
        let gap = only(&versus(&[target], &[100.0]));
        assert_eq!(
            (gap.verdict, gap.repeats_needed),
            (verdict, needed),
            "{target}"
        );
        assert_eq!(gap.ci_pct, None);
    }
}

#[test]
fn repeats_needed_is_the_first_count_that_decides_at_the_observed_spread() {
    // Mean −2%, spread 0.6%: t(n−1)·s/√n must fall under ~1.015%; n = 3 gives 1.5%, n = 4 0.96%.
    let gap = only(&versus(&[98.6, 98.0, 97.4], &[100.0; 3]));
    assert_eq!(
        (gap.verdict, gap.repeats_needed),
        (Verdict::Undecided, Some(4))
    );
    // On the bound itself no number of repeats decides.
    let gap = only(&versus(&[99.5, 99.0, 98.5], &[100.0; 3]));
    assert_eq!(gap.repeats_needed, Some(MAX_REPEATS));
    assert!(gap.reason.contains("point estimate"), "{}", gap.reason);
}

#[test]
fn at_the_cap_the_point_estimate_decides_and_says_so() {
    let noisy = |middle: f64| -> Vec<f64> {
        (0..10)
            .map(|i| {
                if i % 2 == 0 {
                    middle * 0.95
                } else {
                    middle * 1.05
                }
            })
            .collect()
    };
    for (middle, verdict, decision) in [
        (97.0, Verdict::Behind, Decision::Patch),
        (100.2, Verdict::Tied, Decision::Rerun),
        (102.5, Verdict::Ahead, Decision::Rerun),
    ] {
        let record = checked(&versus(&noisy(middle), &[100.0; 10]));
        let gap = &record.scenarios[0];
        assert_eq!(
            (gap.verdict, record.decision),
            (verdict, decision),
            "{middle}"
        );
        assert!(gap.reason.contains("cap of 10 repeats"), "{}", gap.reason);
        assert_eq!(gap.repeats_needed, None);
    }
}

#[test]
fn latencies_are_inverted_so_that_positive_is_better() {
    let request = GapRequest {
        metric: "p50_ttft_ms".into(),
        ..GapRequest::new("sglang")
    };
    let record = check(&request, &versus(&[110.0; 3], &[100.0; 3])).unwrap();
    assert_eq!(record.better, Better::Lower);
    near(record.scenarios[0].gap_pct.unwrap(), 10.0);
    assert_eq!(record.scenarios[0].verdict, Verdict::Ahead);
}

#[test]
fn the_sla_comes_before_the_numbers() {
    let missed = |row| with(row, "/sla/passed", false.into());
    let target = row("sglang", "c0", 0, 120.0);
    let leader = row("vllm", "c0", 0, 100.0);
    let verdict = |target: &serde_json::Value, leader: &serde_json::Value| {
        let record = checked(&rows(&[target.clone(), leader.clone()]));
        (record.scenarios[0].verdict, record.decision)
    };
    assert_eq!(
        verdict(&missed(target.clone()), &leader),
        (Verdict::Behind, Decision::Patch)
    );
    assert_eq!(
        verdict(&target, &missed(leader.clone())),
        (Verdict::Ahead, Decision::StopSuccess)
    );
    assert_eq!(
        verdict(&missed(target.clone()), &missed(leader)),
        (Verdict::Blocked, Decision::Blocked)
    );
}

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
fn different_loads_of_one_scenario_stay_apart() {
    let at = |row, rate: serde_json::Value| with(row, "/workload/request_rate", rate);
    let lines = [
        at(row("sglang", "c0", 0, 100.0), 4.into()),
        at(row("vllm", "c0", 0, 90.0), 4.0.into()),
        at(row("sglang", "c0", 0, 50.0), "inf".into()),
        row("vllm", "c0", 0, 100.0),
    ];
    let record = checked(&rows(&lines));
    let found: Vec<_> = record
        .scenarios
        .iter()
        .map(|gap| (gap.request_rate, gap.verdict))
        .collect();
    assert_eq!(
        found,
        [(Some(4.0), Verdict::Ahead), (None, Verdict::Behind)]
    );
    assert_eq!(record.decision, Decision::Patch);
    near(
        record.geomean_gap_pct.unwrap(),
        ((100.0_f64 / 90.0 * 0.5).sqrt() - 1.0) * 100.0,
    );
}

#[test]
fn unequal_runs_are_to_be_made_fair_first() {
    let mut short = row("vllm", "c0", 0, 90.0);
    short["metrics"]["output_token_throughput"] = (90.0 * 980.0).into();
    short["metrics"]["total_token_throughput"] = (90.0 * 1980.0).into();
    let record = checked(&rows(&[row("sglang", "c0", 0, 100.0), short]));
    assert_eq!(record.decision, Decision::FixFairness);
    assert_eq!(
        record.scenarios[0].fairness,
        [Unfair {
            field: "output_tokens".into(),
            target: "1000.0 a request".into(),
            leader: "980.0 a request".into(),
        }]
    );

    let hashed = |mut row: serde_json::Value, hash: &str| {
        row["workload_sha256"] = hash.into();
        row
    };
    let lines = [
        hashed(row("sglang", "c0", 0, 100.0), "a"),
        hashed(row("sglang", "c0", 1, 100.0), "b"),
        hashed(row("vllm", "c0", 0, 90.0), "a"),
        hashed(row("vllm", "c0", 1, 90.0), "b"),
    ];
    // Each repeat has prompts of its own: fair.
    assert_eq!(checked(&rows(&lines)).decision, Decision::StopSuccess);
    let mut unfair = lines.to_vec();
    unfair[3]["workload_sha256"] = "c".into();
    assert_eq!(checked(&rows(&unfair)).decision, Decision::FixFairness);
    let declared = GapRequest {
        declared_differences: vec!["workload_sha256".into()],
        ..GapRequest::new("sglang")
    };
    assert_eq!(
        check(&declared, &rows(&unfair)).unwrap().decision,
        Decision::StopSuccess
    );
}

#[test]
fn a_sealed_leader_is_compared_and_its_drift_reported() {
    let lines = [
        row("sglang", "c0", 0, 100.0),
        row("vllm", "sealed", 0, 90.0),
        row("vllm", "other", 0, 99.0),
    ];
    for (mean, decision, warned) in [
        (90.5, Decision::StopSuccess, false),
        (92.0, Decision::StopSuccess, true),
        (94.0, Decision::FixFairness, true),
    ] {
        let request = GapRequest {
            sealed_leaders: vec![SealedLeader {
                scenario: "chat".into(),
                request_rate: None,
                max_concurrency: None,
                framework: "vllm".into(),
                candidate_id: "sealed".into(),
                mean,
            }],
            ..GapRequest::new("sglang")
        };
        let record = check(&request, &rows(&lines)).unwrap();
        assert_eq!(
            record.scenarios[0].leader.as_ref().unwrap().candidate_id,
            "sealed"
        );
        assert_eq!(record.decision, decision, "{mean}");
        assert_eq!(
            record.warnings.iter().any(|w| w.contains("drifted")),
            warned
        );
        near(
            record.scenarios[0].drift_pct.unwrap(),
            (90.0 / mean - 1.0) * 100.0,
        );
    }
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
    assert!(record.warnings[0].contains("2 pairs rest on 1 server launch"));
}

#[test]
fn two_weak_rounds_in_a_row_are_a_plateau() {
    let rounds = |improvements: &[Option<f64>]| {
        decide::plateau(
            &improvements
                .iter()
                .enumerate()
                .map(|(round, improvement_pct)| RoundProgress {
                    round: round as u32,
                    improvement_pct: *improvement_pct,
                })
                .collect::<Vec<_>>(),
        )
    };
    assert!(!rounds(&[]).reached);
    assert!(!rounds(&[Some(0.5), Some(2.0), None]).reached);
    let state = rounds(&[Some(4.0), Some(0.9), None]);
    assert_eq!(
        (state.rounds, state.weak_rounds, state.reached),
        (3, 2, true)
    );
    assert!(!rounds(&[None, None, Some(1.0)]).reached);
}

#[test]
fn wrong_requests_name_what_there_is() {
    let lines = versus(&[1.0], &[1.0]);
    let error = check(&GapRequest::new("sgl"), &lines)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "no row has framework `sgl`; the rows have sglang, vllm"
    );
    let request = GapRequest {
        metric: "request_troughput".into(),
        ..GapRequest::new("sglang")
    };
    assert!(matches!(
        check(&request, &lines),
        Err(GapError::NoDirection { .. })
    ));
    let request = GapRequest {
        metric: "p99_ttft_ms".into(),
        ..GapRequest::new("sglang")
    };
    let error = check(&request, &lines).unwrap_err().to_string();
    assert!(
        error.contains("the rows have output_token_throughput, p50_ttft_ms,"),
        "{error}"
    );
}

fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("candidates.jsonl");
    std::fs::File::create(&path)
        .unwrap()
        .write_all(content.as_bytes())
        .unwrap();
    (dir, path)
}

fn read_error(content: &str) -> String {
    let (_dir, path) = file(content);
    let error = read_rows(&path).unwrap_err().to_string();
    error.rsplit("candidates.jsonl:").next().unwrap().to_owned()
}

#[test]
fn a_bad_row_names_its_line_and_key() {
    let good = row("sglang", "c0", 0, 1.0).to_string();
    let mut no_scenario = row("sglang", "c0", 0, 1.0);
    no_scenario["workload"]
        .as_object_mut()
        .unwrap()
        .remove("scenario");
    assert!(
        read_error(&format!("{good}\n\n{no_scenario}\n"))
            .starts_with("3: key `scenario`: missing field `scenario`")
    );
    let typed = with(row("sglang", "c0", 0, 1.0), "/repeat", "two".into());
    let error = read_error(&format!("{typed}\n"));
    assert!(
        error.starts_with("1: key `repeat`: invalid type: string \"two\""),
        "{error}"
    );
    let status = with(row("sglang", "c0", 0, 1.0), "/status", "good".into());
    let error = read_error(&format!("{status}\n"));
    assert!(
        error.starts_with("1: key `status`: unknown variant `good`, expected one of `ok`"),
        "{error}"
    );
    let error = read_error("{\"framework\": \"a\",, }\n");
    assert!(error.starts_with("1: key `framework`"), "{error}");
    let error = read_error("nonsense\n");
    assert!(error.starts_with("1: key `(none)`"), "{error}");
}

#[test]
fn a_line_being_written_is_left_out_with_a_warning() {
    let good = row("sglang", "c0", 0, 1.0).to_string();
    let (_dir, path) = file(&format!("{good}\n{}", &good[..60]));
    let read = read_rows(&path).unwrap();
    assert_eq!(read.rows.len(), 1);
    assert!(read.warnings[0].contains("candidates.jsonl:2: the last line is cut off"));
    // Cut off in the middle of the file: an error.
    let error = read_error(&format!("{}\n{good}\n", &good[..60]));
    assert!(error.starts_with("1: key"), "{error}");
}

#[test]
fn an_endless_line_is_refused_in_bounded_memory() {
    let error = read_error(&"x".repeat(MAX_LINE_BYTES + 10));
    assert_eq!(
        error,
        format!("1: the line is longer than {MAX_LINE_BYTES} bytes")
    );
}

#[test]
fn a_record_survives_its_own_json() {
    let record = checked(&versus(&[98.0, 97.0, 99.0], &[100.0; 3]));
    let text = serde_json::to_string(&record).unwrap();
    assert!(!text.contains("attribution"), "{text}");
    let again: GapRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(again.scenarios[0].pairs, record.scenarios[0].pairs);
    assert_eq!(
        (again.decision, again.plateau),
        (record.decision, record.plateau)
    );
}

fn series(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((50.0..200.0_f64, 50.0..200.0_f64), n)
}

fn sides(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    pairs.iter().copied().unzip()
}

proptest! {
    #[test]
    fn a_constant_factor_on_both_sides_changes_nothing(
        pairs in series(1..12), factor in 0.01..100.0_f64,
    ) {
        let (target, leader) = sides(&pairs);
        let scale = |values: &[f64]| values.iter().map(|v| v * factor).collect::<Vec<_>>();
        let plain = only(&versus(&target, &leader));
        let scaled = only(&versus(&scale(&target), &scale(&leader)));
        prop_assert_eq!(plain.verdict, scaled.verdict);
        prop_assert_eq!(plain.repeats_needed, scaled.repeats_needed);
        prop_assert!((plain.gap_pct.unwrap() - scaled.gap_pct.unwrap()).abs() < 1e-6);
    }

    #[test]
    fn swapping_the_sides_flips_the_verdict(pairs in series(1..12)) {
        let (target, leader) = sides(&pairs);
        let there = only(&versus(&target, &leader));
        let back = only(&versus(&leader, &target));
        let flipped = match there.verdict {
            Verdict::Ahead => Verdict::Behind,
            Verdict::Behind => Verdict::Ahead,
            same => same,
        };
        prop_assert_eq!(back.verdict, flipped);
        let log = |gap: &ScenarioGap| (gap.gap_pct.unwrap() / 100.0).ln_1p();
        prop_assert!((log(&there) + log(&back)).abs() < 1e-9);
        prop_assert_eq!(there.repeats_needed, back.repeats_needed);
    }

    #[test]
    fn more_repeats_never_widen_the_interval_of_the_same_spread(
        spread in 0.0..1.0_f64, n in 2_u32..200,
    ) {
        prop_assert!(half_width(spread, n + 1) <= half_width(spread, n));
    }

    #[test]
    fn the_order_of_rows_does_not_matter(pairs in series(2..8), seed in any::<u64>()) {
        let (target, leader) = sides(&pairs);
        let ordered = versus(&target, &leader);
        let mut shuffled = ordered.clone();
        let len = shuffled.rows.len() as u64;
        for i in 0..len {
            shuffled.rows.swap(i as usize, (seed.rotate_left(i as u32) % len) as usize);
        }
        let (a, b) = (only(&ordered), only(&shuffled));
        prop_assert_eq!(a.verdict, b.verdict);
        prop_assert_eq!(a.pairs, b.pairs);
    }
}

#[test]
fn search_rows_choose_and_never_decide() {
    let phase = |mut row: serde_json::Value, phase: &str| {
        row["phase"] = phase.into();
        row
    };
    let list = [
        phase(row("sglang", "c0", 0, 100.0), "search"),
        phase(row("sglang", "c1", 0, 180.0), "search"),
        phase(row("sglang", "c0", 1, 100.0), "measure"),
        phase(row("sglang", "c0", 2, 100.0), "measure"),
        phase(row("vllm", "c9", 0, 500.0), "search"),
        phase(row("vllm", "c0", 1, 100.0), "measure"),
        phase(row("vllm", "c0", 2, 100.0), "measure"),
    ];
    let record = check(&GapRequest::new("sglang"), &rows(&list)).unwrap();
    let gap = &record.scenarios[0];
    assert_eq!(gap.n, 2);
    assert_eq!(gap.leader.as_ref().unwrap().candidate_id, "c0");
    assert_eq!(gap.verdict, Verdict::Tied);
}
