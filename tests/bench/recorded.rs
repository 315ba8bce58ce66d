//! Other clients' recorded runs, computed again: equal to what they printed.

use std::path::Path;

use crate::support::fixture;
use sota_loop::bench::import::{LatencySummary, Recording, read_sglang, read_vllm};

/// The nine printed numbers: TTFT, TPOT, ITL, each mean, median, p99.
fn printed(summary: &LatencySummary) -> [String; 9] {
    let LatencySummary { ttft, tpot, itl } = summary;
    [ttft, tpot, itl]
        .map(|spread| [spread.mean_ms, spread.median_ms, spread.p99_ms])
        .concat()
        .iter()
        .map(|value| format!("{value:.2}"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

fn check(recording: &Recording, expected: [&str; 9]) {
    assert_eq!(recording.completed, 80);
    assert_eq!(recording.ttfts_s.len(), 80);
    assert_eq!(
        printed(&recording.reported.unwrap()),
        expected,
        "as reported"
    );
    let ours = recording.recompute().unwrap();
    assert_eq!(printed(&ours), expected, "as computed here");
}

const VLLM_CHAT: [&str; 9] = [
    "1376.00", "1371.75", "2090.75", "13.68", "13.68", "14.66", "13.68", "12.85", "33.97",
];
const VLLM_SUMMARIZATION: [&str; 9] = [
    "19476.71", "9167.63", "42983.98", "31.00", "33.93", "47.78", "31.00", "24.04", "235.33",
];
const SGLANG_CHAT: [&str; 9] = [
    "1175.74", "1180.04", "2091.77", "14.28", "14.27", "15.14", "14.28", "13.15", "34.89",
];
const SGLANG_SUMMARIZATION: [&str; 9] = [
    "24606.94", "33847.53", "67149.54", "26.84", "27.87", "32.37", "27.01", "23.95", "46.62",
];

#[test]
fn vllms_summary_to_the_last_printed_digit() {
    check(
        &read_vllm(&fixture("vllm_chat.json.gz")).unwrap(),
        VLLM_CHAT,
    );
}

#[test]
fn sglangs_summary_to_the_last_printed_digit() {
    let runs = read_sglang(&fixture("sglang_chat.jsonl.gz")).unwrap();
    assert_eq!(runs.len(), 1);
    check(&runs[0], SGLANG_CHAT);
}

/// All four recordings at full precision.
#[test]
fn full_recordings_to_the_last_printed_digit() {
    let Ok(data) = std::env::var("SOTA_TEST_DATA") else {
        eprintln!("not run: set SOTA_TEST_DATA");
        return;
    };
    let bench = Path::new(&data).join("bench");
    let vllm = |name| read_vllm(&bench.join("vllm").join(name)).unwrap();
    let sglang = |name| read_sglang(&bench.join("sglang").join(name)).unwrap();
    check(&vllm("bench_chat.json.gz"), VLLM_CHAT);
    check(&vllm("bench_summarization.json.gz"), VLLM_SUMMARIZATION);
    check(&sglang("bench_chat.jsonl.gz")[0], SGLANG_CHAT);
    check(
        &sglang("bench_summarization.jsonl.gz")[0],
        SGLANG_SUMMARIZATION,
    );
    // Where no bookkeeping chunk is timed, the values agree to rounding of sums.
    let exact = vllm("bench_chat.json.gz");
    let (ours, theirs) = (exact.recompute().unwrap(), exact.reported.unwrap());
    assert!((ours.ttft.p99_ms - theirs.ttft.p99_ms).abs() < 1e-9);
    assert!((ours.itl.p99_ms - theirs.itl.p99_ms).abs() < 1e-9);
    assert!((ours.tpot.mean_ms - theirs.tpot.mean_ms).abs() < 1e-6);
}

#[test]
fn a_damaged_result_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    std::fs::write(&path, "{\"duration\": 1.0}").unwrap();
    let error = read_vllm(&path).unwrap_err().to_string();
    assert!(error.contains("missing field `completed`"), "{error}");
    assert!(error.contains("result.json"), "{error}");
    let missing = read_vllm(&folder.path().join("no.json")).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read "));
}
