//! The page of a benchmark, and a look at its job.

use serde_json::{Value, json};

use crate::plans;
use crate::support::{Home, read};

/// Two engines, three repeats, one candidate that never starts.
fn measured(home: &Home) {
    let mut slow = plans::sim(home, "sglang", &[]);
    let flags = slow.as_array_mut().unwrap();
    let base = flags
        .iter()
        .position(|flag| flag == "--decode-base-ms")
        .unwrap();
    flags[base + 1] = json!("3");
    let fast = plans::sim(home, "vllm", &[]);
    let broken = plans::sim(home, "vllm", &["--memory-fraction", "0.999"]);
    let mut plan = plans::plan(json!({
        "sglang": {"command": slow},
        "vllm": {"command": fast},
        "broken": {"engine": "vllm", "command": broken},
    }));
    plan["search"]["repeats"] = json!(3);
    plan["sla"] = json!({"max_p50_ttft_ms": 5000, "max_p50_tpot_ms": 80});
    let record = plans::run(home, &plan);
    assert_eq!(record["state"], "done", "{record}");
}

/// The JSON of a figure.
fn data(page: &str, id: &str) -> Value {
    let head = format!("id=\"data-{id}\">");
    let from = page
        .find(&head)
        .unwrap_or_else(|| panic!("no data of {id}"))
        + head.len();
    let text = page[from..].split("</script>").next().unwrap();
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_benchmark_becomes_a_page_with_the_numbers_of_its_rows() {
    let home = Home::new();
    measured(&home);
    let output = home.run(&["--json", "report", "out"]);
    assert!(output.status.success(), "{output:?}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let page = read(home.workspace().join("out/final_report.html"));
    assert_eq!(record["bytes"], page.len());

    let gap = home.run(&["--json", "gap", "out/candidates.jsonl"]);
    let gap: Value = serde_json::from_slice(&gap.stdout).unwrap();
    assert_eq!(
        data(&page, "gap")[0]["record"]["scenarios"],
        gap["scenarios"]
    );

    let curves = data(&page, "latency");
    assert_eq!(
        curves.as_array().unwrap().len(),
        6,
        "two sides, three latencies"
    );
    // Six requests in each of three repeats; the last quantile is the slowest.
    assert_eq!(curves[0]["requests"], 18);
    let points = curves[0]["points"].as_array().unwrap();
    assert_eq!(points.last().unwrap()[1], 100.0);

    let candidates = data(&page, "candidates");
    assert_eq!(candidates.as_array().unwrap().len(), 3);
    let failures = data(&page, "failures");
    assert!(!failures.as_array().unwrap().is_empty());
    assert!(failures[0]["failure_reason"].is_string(), "{failures}");

    for id in ["stages", "layers", "roofline", "attempts"] {
        assert!(data(&page, id)["missing"].is_string(), "{id}");
    }
    assert!(!page.contains("src=") && !page.contains("http-equiv=\"refresh"));
}

#[test]
fn another_target_turns_the_gap_round_and_a_wrong_one_is_named() {
    let home = Home::new();
    measured(&home);
    let output = home.run(&["report", "out", "--target", "vllm", "--out", "other.html"]);
    assert!(output.status.success(), "{output:?}");
    let page = read(home.workspace().join("other.html"));
    let record = &data(&page, "gap")[0]["record"];
    assert_eq!(record["target"], "vllm");
    let gap = record["scenarios"][0]["gap_pct"].as_f64().unwrap();
    assert!(gap > 0.0, "vllm is the faster one: {gap}%");
    let wrong = home.run(&["report", "out", "--target", "vlm"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("sglang"));
}

#[test]
fn a_look_at_a_job_is_the_same_as_text_and_as_json() {
    let home = Home::new();
    measured(&home);
    let json: Value =
        serde_json::from_slice(&home.run(&["--json", "watch", "out"]).stdout).unwrap();
    assert_eq!(json["state"], "done");
    assert_eq!(json["live"], Value::Null);
    let text = home.run(&["watch", "out"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains(json["job_id"].as_str().unwrap()), "{text}");
    assert!(text.contains("done") && text.contains("sglang"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
}
