//! Rows files: good, bad, torn and endless.

use std::io::Write;
use std::path::PathBuf;

use super::*;

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
