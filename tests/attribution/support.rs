//! Short ways from a recording to an explanation.

use std::path::{Path, PathBuf};

use sota_loop::bench::import::read_result;
use sota_loop::bench::timeline::{Timeline, read_log};
use sota_loop::gap::attribution::{Explanation, Run, parse_run};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/attribution")
        .join(name)
}

/// The timeline of a recorded run, with its server's log.
pub fn recorded(result: &str, log: Option<&str>) -> Timeline {
    let recording = read_result(&fixture(result)).unwrap().pop().unwrap();
    let mut timeline = Timeline::of_recording(&recording).unwrap();
    if let Some(log) = log {
        let found = timeline.add_log(&read_log(&fixture(log), 0).unwrap());
        assert!(found, "{result} is in its server's log");
    }
    timeline
}

pub fn run(timeline: &Timeline) -> Run {
    parse_run(timeline.to_lines().as_slice(), Path::new("timeline.jsonl")).unwrap()
}

/// Percent of the difference that goes to these causes.
pub fn share(explanation: &Explanation, causes: &[&str]) -> f64 {
    explanation
        .attribution
        .iter()
        .filter(|row| causes.contains(&row.cause.as_str()))
        .map(|row| row.share_pct)
        .sum()
}

/// All rows in one text, for messages.
pub fn told(explanation: &Explanation) -> String {
    let mut text = format!(
        "difference {:.3} s; model {:?}\n",
        explanation.difference_s, explanation.model
    );
    for row in &explanation.attribution {
        text.push_str(&format!(
            "{:>9.3} s {:>7.1}%  {}: {}\n",
            row.seconds, row.share_pct, row.cause, row.evidence
        ));
    }
    for change in &explanation.what_if {
        text.push_str(&format!(
            "  {:+.3} s with {}\n",
            change.seconds, change.change
        ));
    }
    for line in explanation.observations.iter().chain(&explanation.warnings) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(&format!(
        "look at {:?}: {:?}\n",
        explanation.where_to_look, explanation.look_at
    ));
    text
}
