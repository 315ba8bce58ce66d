//! How true the load generator's times are, against a mock that stamps its
//! own writes, and how well it keeps a Poisson schedule.
//!
//! `cargo bench --bench truth` prints the errors of TTFT and of inter-token
//! latency at 64 streams, whether token counts were exact, and the drift of
//! 10,000 arrivals.

#[path = "../tests/bench/mock.rs"]
#[allow(dead_code)]
mod mock;

use std::sync::Arc;
use std::time::Duration;

use mock::{Mock, Step, end, event, head};
use sota_loop::bench::load::{Arrivals, Endpoint, Live, LoadOutcome, LoadRun, drive};
use sota_loop::bench::metrics::Distribution;
use sota_loop::bench::workload::{Input, Prompt};
use sota_loop::http::Base;

const STREAMS: usize = 64;
const TOKENS: usize = 300;
const ARRIVALS: usize = 10_000;
const RATE: f64 = 2000.0;

fn main() {
    times();
    drift();
}

fn run(mock: &Mock, count: usize, arrivals: Arrivals) -> LoadOutcome {
    // The first prompt token tells the mock's log which request it was.
    let prompts = (0..count)
        .map(|index| Prompt {
            input: Input::Ids(vec![index as u32]),
            output_len: TOKENS as u32,
        })
        .collect();
    let mut run = LoadRun::new(Base::at(mock.address), Endpoint::Completions, "m", prompts);
    run.arrivals = arrivals;
    let (_keep, cancel) = tokio::sync::watch::channel(false);
    let outcome = drive(&run, &Arc::new(Live::default()), cancel).expect("the run starts");
    let failed = outcome.samples.iter().find_map(|s| s.error.as_ref());
    assert!(failed.is_none(), "{failed:?}");
    outcome
}

/// One token every 10 ms from 50 ms on, with counts on every chunk.
fn stream() -> Vec<Step> {
    let mut steps = vec![head()];
    for number in 1..=TOKENS {
        steps.push(Step::At(Duration::from_millis(40 + 10 * number as u64)));
        let finish = if number == TOKENS {
            "\"length\""
        } else {
            "null"
        };
        steps.push(event(&format!(
            "{{\"choices\":[{{\"index\":0,\"text\":\" t\",\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":{number}}}}}"
        )));
    }
    steps.push(event("[DONE]"));
    steps.push(end());
    steps
}

fn times() {
    let mock = Mock::always(stream());
    let outcome = run(&mock, STREAMS, Arrivals::poisson(200.0));
    let mut ttft_errors = Vec::new();
    let mut itl_errors = Vec::new();
    let mut exact = 0;
    for served in mock.log() {
        let index: usize = served
            .body
            .rsplit_once('[')
            .and_then(|(_, rest)| rest.trim_end_matches("]}").parse().ok())
            .expect("the body ends with its token");
        let sample = &outcome.samples[index];
        exact += usize::from(sample.output_tokens == Some(TOKENS as u64));
        // The first write is the head, the last two are [DONE] and the end.
        let writes: Vec<f64> = served.writes[1..=TOKENS]
            .iter()
            .map(|at| at.duration_since(served.arrived).as_secs_f64() * 1e3)
            .collect();
        let seen: Vec<f64> = sample.chunk_ns.iter().map(|ns| *ns as f64 / 1e6).collect();
        ttft_errors.push((seen[0] - writes[0]).abs());
        let gaps = |times: &[f64]| -> Vec<f64> { times.windows(2).map(|w| w[1] - w[0]).collect() };
        for (ours, truth) in gaps(&seen).iter().zip(gaps(&writes)) {
            itl_errors.push((ours - truth).abs());
        }
    }
    println!("{STREAMS} streams, a token every 10 ms, {TOKENS} tokens each");
    report("TTFT error", ttft_errors);
    report("ITL error ", itl_errors);
    println!("token counts exact: {exact} of {STREAMS}");
    println!(
        "client: {:.1}% of one processor",
        outcome.client.busiest_cpu_pct
    );
}

fn report(name: &str, errors: Vec<f64>) {
    let errors = Distribution::new(errors);
    let at = |percent| errors.percentile(percent).unwrap_or(f64::NAN);
    println!(
        "{name}  median {:.3} ms  p99 {:.3} ms  max {:.3} ms  (wanted: under 0.5 and 2 ms)",
        at(50.0),
        at(99.0),
        at(100.0)
    );
}

fn drift() {
    let mock = Mock::always(vec![
        head(),
        event(
            "{\"choices\":[{\"index\":0,\"text\":\" t\",\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}",
        ),
        end(),
    ]);
    let outcome = run(&mock, ARRIVALS, Arrivals::poisson(RATE));
    let last = outcome.samples.last().expect("all were sent");
    let wanted = ARRIVALS as f64 / RATE;
    let sent = last.sent_ns as f64 / 1e9;
    let lag = Distribution::new(
        outcome
            .samples
            .iter()
            .map(|s| s.dispatch_lag_ns() as f64 / 1e6),
    );
    println!(
        "{ARRIVALS} Poisson arrivals at {RATE} requests/s: last due at {wanted:.4} s, sent at {sent:.4} s, drift {:.4}% (wanted: under 0.1%)",
        100.0 * (sent - wanted).abs() / wanted
    );
    println!(
        "dispatch lag  median {:.3} ms  p99 {:.3} ms",
        lag.percentile(50.0).unwrap_or(f64::NAN),
        lag.percentile(99.0).unwrap_or(f64::NAN)
    );
}
