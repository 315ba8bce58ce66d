//! Short ways to drive a mock and look at what came of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sota_loop::bench::load::{Endpoint, Live, LoadOutcome, LoadRun, Sample, drive};
use sota_loop::bench::workload::{Input, Prompt};
use sota_loop::http::Base;

use crate::mock::{Mock, Step, body, end, head};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/bench")
        .join(name)
}

pub fn prompts(count: usize, output_len: u32) -> Vec<Prompt> {
    (0..count)
        .map(|index| Prompt {
            input: Input::Text(format!("prompt {index}")),
            output_len,
        })
        .collect()
}

pub fn load(mock: &Mock, endpoint: Endpoint, count: usize) -> LoadRun {
    let mut run = LoadRun::new(Base::at(mock.address), endpoint, "mock", prompts(count, 16));
    run.request_timeout = Duration::from_secs(20);
    run
}

pub fn drive_run(run: &LoadRun) -> LoadOutcome {
    let (_keep, cancel) = tokio::sync::watch::channel(false);
    drive(run, &Arc::new(Live::default()), cancel).unwrap()
}

/// Plays the steps to one request and returns what it saw.
pub fn one(endpoint: Endpoint, steps: Vec<Step>) -> Sample {
    let outcome = drive_run(&load(&Mock::always(steps), endpoint, 1));
    assert_eq!(outcome.samples.len(), 1);
    outcome.samples.into_iter().next().unwrap()
}

/// A whole stream in one piece.
pub fn stream(sse: &str) -> Vec<Step> {
    vec![head(), body(sse), end()]
}

/// The class and words of a failure.
pub fn failure(sample: &Sample) -> (String, String) {
    let error = sample.error.as_ref().expect("the request failed");
    let class = serde_json::to_value(error.class).unwrap();
    (class.as_str().unwrap().to_owned(), error.message.clone())
}
