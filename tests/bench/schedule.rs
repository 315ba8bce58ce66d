//! When requests go out, and what is made of their waiting.

use std::num::NonZeroUsize;

use sota_loop::bench::load::{Arrivals, Endpoint, Live};
use sota_loop::bench::metrics::{SloLimits, summarize};

use crate::mock::{Mock, Step, at, end, event, head};
use crate::support::{drive_run, load};

const ONE: &str = r#"{"choices":[{"index":0,"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

fn after(ms: u64) -> Vec<Step> {
    vec![at(ms), head(), event(ONE), end()]
}

/// A closed door in front of an open-loop schedule: 20 requests due every
/// 10 ms, served one at a time in 50 ms each. From sent, every request looks
/// like 50 ms; from its schedule, the last has waited for all the others.
#[test]
fn coordinated_omission_shows_in_the_latency_from_schedule() {
    let mut run = load(&Mock::always(after(50)), Endpoint::Completions, 20);
    run.arrivals = Arrivals::constant(100.0);
    run.max_concurrency = NonZeroUsize::new(1);
    let metrics = summarize(&drive_run(&run), &SloLimits::default());
    let sent = metrics.row.mean_e2e_ms.unwrap();
    let scheduled = metrics.extras.e2e_from_schedule_mean_ms.unwrap();
    assert!((49.0..100.0).contains(&sent), "{sent}");
    // Mean wait in theory: 9.5 requests ahead x 40 ms each.
    assert!(scheduled > sent + 370.0, "{scheduled}");
    assert!(metrics.extras.cap_wait_p99_ms.unwrap() > 700.0);
    assert!(!metrics.extras.closed_loop);
}

#[test]
fn a_closed_loop_is_labelled_and_has_no_latency_from_schedule() {
    let mut run = load(&Mock::always(after(5)), Endpoint::Completions, 6);
    run.max_concurrency = NonZeroUsize::new(2);
    let metrics = summarize(&drive_run(&run), &SloLimits::default());
    assert!(metrics.extras.closed_loop);
    assert_eq!(metrics.extras.e2e_from_schedule_mean_ms, None);
    assert_eq!(metrics.extras.steady_state.unwrap().peak_concurrency, 2);
    assert_eq!(metrics.extras.connections.opened, 2);
    assert_eq!(metrics.extras.reused_connections, 4);
}

#[test]
fn no_request_goes_out_before_it_is_due() {
    let mut run = load(&Mock::always(after(0)), Endpoint::Completions, 40);
    run.arrivals = Arrivals::poisson(400.0);
    let outcome = drive_run(&run);
    assert_eq!(outcome.samples.last().unwrap().due_ns, 100_000_000);
    for sample in &outcome.samples {
        assert!(sample.woke_ns >= sample.due_ns, "{sample:?}");
        assert!(sample.sent_ns >= sample.released_ns, "{sample:?}");
    }
    assert_eq!(outcome.request_rate, Some(400.0));
}

#[test]
fn requests_are_spread_over_threads_and_the_cap_is_shared() {
    let mut run = load(&Mock::always(after(10)), Endpoint::Completions, 12);
    run.threads = NonZeroUsize::new(3);
    run.max_concurrency = NonZeroUsize::new(2);
    let outcome = drive_run(&run);
    assert_eq!(outcome.client.threads, 3);
    assert!(outcome.samples.iter().all(|sample| sample.is_ok()));
    let metrics = summarize(&outcome, &SloLimits::default());
    assert_eq!(metrics.extras.steady_state.unwrap().peak_concurrency, 2);
}

#[test]
fn live_counters_add_up() {
    let run = load(&Mock::always(after(0)), Endpoint::Completions, 7);
    let live = std::sync::Arc::new(Live::default());
    let (_keep, cancel) = tokio::sync::watch::channel(false);
    sota_loop::bench::load::drive(&run, &live, cancel).unwrap();
    let counts = live.counts();
    assert_eq!((counts.sent, counts.done, counts.failed), (7, 7, 0));
    assert_eq!((counts.waiting, counts.decoding, counts.tokens), (0, 0, 7));
    assert!(counts.recent_ttft_us.is_some());
}
