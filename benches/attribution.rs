//! Wall time and memory of timelines and attributions: two recorded runs of 80
//! requests, and two simulated ones of 100,000.
//!
//! `cargo bench --bench attribution`

#[path = "support/offline_samples.rs"]
mod offline_samples;

use std::path::Path;
use std::time::Instant;

use sota_loop::bench::import::read_result;
use sota_loop::bench::load::Sample;
use sota_loop::bench::timeline::Timeline;
use sota_loop::gap::attribution::{Explanation, explain, parse_run};
use sota_loop::sim::{Ask, Client, CostModel, run_offline};

const REQUESTS: u32 = 100_000;
const OUTPUT: u32 = 100;
const CAP: usize = 256;

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attribution");
    let recorded = |name: &str| {
        read_result(&fixtures.join(name))
            .expect("the fixture is readable")
            .remove(0)
    };
    let target = recorded("sglang_summarization.jsonl.gz");
    let leader = recorded("vllm_summarization.json.gz");
    let (target_samples, leader_samples) = (target.samples(), leader.samples());
    let (seconds, explanation) = timed(
        (&target_samples, Some(target.duration_s), None),
        (&leader_samples, Some(leader.duration_s), None),
    );
    report("two runs of 80 requests", seconds, &explanation);

    let before = peak_mib();
    let mut slower = CostModel::default();
    slower.decode.base_ms *= 1.2;
    slower.prefill.tokens_per_s /= 1.1;
    slower.limits.max_running = 200;
    let target = simulated(&slower);
    let leader = simulated(&CostModel::default());
    println!(
        "samples of two simulated runs: {:.0} MiB",
        peak_mib() - before
    );
    let cap = Some(CAP as u32);
    let (seconds, explanation) = timed((&target, None, cap), (&leader, None, cap));
    report("two runs of 100,000 requests", seconds, &explanation);
    println!("peak memory of the whole program: {:.0} MiB", peak_mib());
}

type Input<'a> = (&'a [Sample], Option<f64>, Option<u32>);

/// From samples to timelines, their files' content, and back to causes.
fn timed(target: Input<'_>, leader: Input<'_>) -> (f64, Explanation) {
    let started = Instant::now();
    let runs = [target, leader].map(|(samples, duration, cap)| {
        let mut timeline = Timeline::of(samples, duration).expect("requests got tokens");
        timeline.run.max_concurrency = cap;
        parse_run(timeline.to_lines().as_slice(), Path::new("timeline.jsonl"))
            .expect("what was written is readable")
    });
    let explanation = explain(&runs[0], &runs[1]).expect("the model ends");
    (started.elapsed().as_secs_f64(), explanation)
}

fn report(what: &str, seconds: f64, explanation: &Explanation) {
    println!(
        "{what}: {seconds:.3} s; model off by {:+.2}% and {:+.2}%",
        explanation.model.target_error_pct, explanation.model.leader_error_pct
    );
    for row in &explanation.attribution {
        println!(
            "  {:>10.3} s {:>6.1}% {}",
            row.seconds, row.share_pct, row.cause
        );
    }
}

fn simulated(model: &CostModel) -> Vec<Sample> {
    let asks: Vec<Ask> = (0..REQUESTS)
        .map(|i| Ask {
            due: 0,
            prompt_tokens: 200 + i * 37 % 101,
            output_tokens: OUTPUT - 10 + i * 29 % 21,
        })
        .collect();
    let client = Client {
        max_concurrency: Some(CAP),
        look_every: 1_000_000_000,
    };
    let run = run_offline(model, 1, &asks, client).expect("every request fits");
    offline_samples::samples(&run, &asks)
}

/// Most memory that this program ever had, in MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or_default()
        / 1024.0
}
