//! Results of other clients become rows that a gap can be decided on.

use std::path::Path;

use serde_json::Value;

use crate::support::{Home, read};

#[test]
fn recorded_results_of_both_clients_become_rows_with_their_source() {
    let home = Home::new();
    let recorded = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/attribution")
            .join(name)
            .display()
            .to_string()
    };
    let arguments = [
        "import".to_owned(),
        format!("vllm/chat={}", recorded("vllm_chat.json.gz")),
        format!("sglang/chat={}", recorded("sglang_chat.jsonl.gz")),
        recorded("vllm_summarization.json.gz"),
        "--rows".to_owned(),
        "out.jsonl".to_owned(),
        "--json".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let imported = home.run(&arguments);
    let record: Value = serde_json::from_slice(&imported.stdout).unwrap();
    let rows: Vec<Value> = read(home.workspace().join("out.jsonl"))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {} {} by {}: {:.2} req/s, p50 TTFT {:.2}, TPOT {:.2}",
                row["framework"].as_str().unwrap(),
                row["workload"]["scenario"].as_str().unwrap(),
                row["repeat"],
                row["client"].as_str().unwrap(),
                row["metrics"]["request_throughput"].as_f64().unwrap(),
                row["metrics"]["p50_ttft_ms"].as_f64().unwrap(),
                row["metrics"]["p50_tpot_ms"].as_f64().unwrap(),
            )
        })
        .collect();
    // What the clients themselves printed of these runs, but for the rounding of
    // the recorded times: 1180.04 and 9167.63.
    assert_eq!(
        said,
        [
            "vllm chat 1 by vllm bench serve: 5.30 req/s, p50 TTFT 1371.75, TPOT 13.68",
            "sglang chat 1 by sglang.bench_serving: 5.17 req/s, p50 TTFT 1180.05, TPOT 14.27",
            "vllm in8000-out1000 1 by vllm bench serve: 1.23 req/s, p50 TTFT 9167.60, TPOT 33.93",
        ]
    );
    for row in &rows {
        assert_eq!(row["job_id"], record["job_id"]);
        assert!(
            Path::new(
                &home
                    .workspace()
                    .join(row["artifacts"]["raw_result"].as_str().unwrap())
            )
            .is_file()
        );
    }

    // The same files again add nothing.
    let again = home.run(&arguments);
    assert!(again.status.success());
    assert_eq!(read(home.workspace().join("out.jsonl")).lines().count(), 3);

    let gap = home.run(&["gap", "out.jsonl", "--target", "sglang", "--json"]);
    let gap: Value = serde_json::from_slice(&gap.stdout).unwrap();
    assert_eq!(gap["decision"], "fix_fairness", "{gap:#}");
    assert_eq!(gap["scenarios"][0]["fairness"][0]["field"], "client");
    assert!(
        record["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|warning| warning.as_str().unwrap().contains("do not compare")),
        "{record:#}"
    );
    let chat = &gap["scenarios"][0];
    assert_eq!(chat["scenario"], "chat");
    assert_eq!(format!("{:.1}", chat["gap_pct"].as_f64().unwrap()), "-2.5");
}

#[test]
fn a_file_that_is_no_result_is_named() {
    let home = Home::new();
    home.write("x.json", "{\"hello\": 1}");
    let output = home.run(&["import", "x.json", "--json"]);
    assert!(!output.status.success());
    let fault: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(fault["error"], "invalid_input");
    assert!(
        fault["message"].as_str().unwrap().starts_with("x.json: "),
        "{fault}"
    );
}
