mod choosing;
mod properties;
mod reading;

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
fn rows_of_two_clients_do_not_compare() {
    let by = |framework: &str, throughput: f64, client: &str| {
        let mut row = row(framework, "c0", 0, throughput);
        row["client"] = client.into();
        row
    };
    let mut sglang = by("sglang", 80.0, "sglang.bench_serving");
    // That client records no model.
    sglang["model"] = "".into();
    let mut vllm = by("vllm", 100.0, "vllm bench serve");
    vllm["model"] = "qwen3-8b".into();
    let two = rows(&[sglang.clone(), vllm]);
    let record = checked(&two);
    assert_eq!(record.decision, Decision::FixFairness);
    assert_eq!(
        record.decision_reason,
        "the runs are not comparable in chat (client)"
    );
    assert!(record.next.contains("by one client"), "{}", record.next);

    // One client for both is fair; one of theirs beside ours is not.
    let one = rows(&[sglang.clone(), by("vllm", 100.0, "sglang.bench_serving")]);
    assert_eq!(checked(&one).decision, Decision::Patch);
    let ours = rows(&[sglang, row("vllm", "c0", 0, 100.0)]);
    assert_eq!(checked(&ours).decision, Decision::FixFairness);
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
