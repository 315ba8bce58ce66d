//! Failures of an engine: each request fails with its class and the engine's
//! words, the others go on.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sota_loop::bench::load::{
    Endpoint, ErrorClass, Live, LoadError, LoadRun, drive, read_samples, write_samples,
};
use sota_loop::bench::metrics::{SloLimits, Verdict, summarize};
use sota_loop::http::Base;

use crate::mock::{Mock, Step, at, body, end, event, head, write};
use crate::support::{drive_run, failure, fixture, load, one, prompts, stream};

const TOKEN: &str = r#"{"choices":[{"index":0,"text":"a","finish_reason":null}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const LAST: &str = r#"{"choices":[{"index":0,"text":"b","finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

fn good() -> Vec<Step> {
    stream(&format!(
        "data: {TOKEN}\n\ndata: {LAST}\n\ndata: [DONE]\n\n"
    ))
}

fn answer(status: &str, text: &str) -> Vec<Step> {
    vec![write(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    ))]
}

#[test]
fn refusals_keep_the_engines_words() {
    let vllm = std::fs::read_to_string(fixture("vllm_error_model.json")).unwrap();
    let (class, words) = failure(&one(Endpoint::Completions, answer("404 Not Found", &vllm)));
    assert_eq!(class, "http4xx");
    assert!(words.starts_with("404: ") && words.contains("The model `nope` does not exist."));
    let sglang = std::fs::read_to_string(fixture("sglang_error_len.json")).unwrap();
    let (class, words) = failure(&one(
        Endpoint::Completions,
        answer("400 Bad Request", &sglang),
    ));
    assert_eq!(class, "http4xx");
    assert!(
        words.contains("maximum context length of 10240 tokens"),
        "{words}"
    );
    let sample = one(
        Endpoint::Completions,
        answer("503 Overloaded", "queue full"),
    );
    assert_eq!(sample.status, Some(503));
    assert_eq!(
        failure(&sample),
        ("http5xx".to_owned(), "503: queue full".to_owned())
    );
}

#[test]
fn a_huge_refusal_is_cut() {
    let (class, words) = failure(&one(
        Endpoint::Completions,
        answer("500 Broken", &"x".repeat(1 << 20)),
    ));
    assert_eq!((class.as_str(), words.len()), ("http5xx", 4000));
}

#[test]
fn a_disconnect_in_the_middle() {
    let sample = one(
        Endpoint::Completions,
        vec![head(), event(TOKEN), at(20), Step::Close],
    );
    assert_eq!(failure(&sample).0, "disconnect");
    // What came before is kept.
    assert_eq!(sample.chunk_tokens, Some(vec![1]));
}

#[test]
fn a_disconnect_in_the_middle_of_an_event() {
    let sample = one(
        Endpoint::Completions,
        vec![head(), event(TOKEN), body("data: {\"cho"), Step::Close],
    );
    assert_eq!(failure(&sample).0, "disconnect");
}

#[test]
fn a_stream_without_a_finish_reason_is_truncated() {
    let sample = one(Endpoint::Completions, stream(&format!("data: {TOKEN}\n\n")));
    assert_eq!(failure(&sample).0, "truncated");
}

#[test]
fn errors_inside_a_stream_fail_the_request() {
    let object = format!(
        "data: {TOKEN}\n\ndata: {{\"error\":{{\"message\":\"CUDA out of memory\"}}}}\n\ndata: [DONE]\n\n"
    );
    let named = format!("data: {TOKEN}\n\nevent: error\ndata: CUDA out of memory\n\n");
    let sglang = format!(
        "data: {TOKEN}\n\ndata: {{\"object\":\"error\",\"message\":\"CUDA out of memory\"}}\n\n"
    );
    for sse in [object, named, sglang] {
        let (class, words) = failure(&one(Endpoint::Completions, stream(&sse)));
        assert_eq!(class, "in_stream_error");
        assert!(words.contains("CUDA out of memory"), "{words}");
    }
}

#[test]
fn a_nan_finish_fails_the_request() {
    let chat = r#"data: {"choices":[{"index":0,"text":"!","finish_reason":"stop","matched_stop":"NaN happened"}]}"#;
    assert_eq!(
        failure(&one(Endpoint::Completions, stream(&format!("{chat}\n\n")))),
        ("nan".to_owned(), "NaN happened".to_owned())
    );
    let own = r#"data: {"text":"!","meta_info":{"completion_tokens":1,"prompt_tokens":3,"finish_reason":{"type":"stop","matched":"NaN happened"}}}"#;
    assert_eq!(
        failure(&one(Endpoint::Generate, stream(&format!("{own}\n\n")))).0,
        "nan"
    );
}

#[test]
fn an_aborted_request_fails() {
    let own = r#"data: {"text":"","meta_info":{"completion_tokens":0,"prompt_tokens":3,"finish_reason":{"type":"abort","message":"the queue is full"}}}"#;
    assert_eq!(
        failure(&one(Endpoint::Generate, stream(&format!("{own}\n\n")))),
        ("in_stream_error".to_owned(), "the queue is full".to_owned())
    );
}

#[test]
fn what_is_no_stream_is_malformed() {
    let sample = one(Endpoint::Completions, answer("200 OK", "{\"choices\":[]}"));
    let (class, words) = failure(&sample);
    assert_eq!(class, "malformed");
    assert!(
        words.contains("no event stream: {\"choices\":[]}"),
        "{words}"
    );
    let (class, words) = failure(&one(Endpoint::Completions, stream("data: {oops\n\n")));
    assert_eq!(class, "malformed");
    assert!(words.ends_with(": {oops"), "{words}");
}

#[test]
fn an_answer_without_a_token_is_empty() {
    let sse = "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!(failure(&one(Endpoint::Completions, stream(sse))).0, "empty");
}

#[test]
fn a_slow_start_is_in_ttft_and_a_hang_is_a_timeout() {
    let mut slow = good();
    slow.insert(1, at(80));
    let sample = one(Endpoint::Completions, slow);
    assert_eq!(sample.error, None);
    assert!(sample.first_token_ns.unwrap() >= 79_000_000);

    let hang = Mock::always(vec![head(), event(TOKEN), at(60_000)]);
    let mut run = load(&hang, Endpoint::Completions, 1);
    run.request_timeout = Duration::from_millis(120);
    let outcome = drive_run(&run);
    assert_eq!(
        failure(&outcome.samples[0]),
        (
            "timeout".to_owned(),
            "no complete answer within 0.12 s".to_owned()
        )
    );
    assert_eq!(outcome.samples[0].chunk_tokens, Some(vec![1]));
}

#[test]
fn a_connection_that_is_not_kept_in_spite_of_the_promise() {
    let mut steps = vec![
        write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nkeep-alive: timeout=5, max=100\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        event(TOKEN),
        event(LAST),
    ];
    steps.extend([end(), Step::Close]);
    let mock = Mock::always(steps);
    let mut run = load(&mock, Endpoint::Completions, 6);
    run.max_concurrency = NonZeroUsize::new(1);
    let outcome = drive_run(&run);
    assert!(outcome.samples.iter().all(|sample| sample.is_ok()));
    let connections = outcome.connections;
    assert_eq!(connections.opened, 6);
    assert!(
        connections.not_kept + connections.stale_retries >= 5,
        "{connections:?}"
    );
}

#[test]
fn a_stale_connection_restarts_the_clock() {
    // The second request on each connection meets a silent close after 60 ms.
    let mock = Mock::start(|number| match number {
        1 => vec![at(60), Step::Close],
        _ => good(),
    });
    let mut run = load(&mock, Endpoint::Completions, 2);
    run.max_concurrency = NonZeroUsize::new(1);
    let outcome = drive_run(&run);
    let second = &outcome.samples[1];
    assert_eq!(second.error, None);
    assert!(second.retried && !second.reused);
    assert!(second.sent_ns >= second.released_ns + 50_000_000);
    assert!(second.first_token_ns.unwrap() < 50_000_000, "{second:?}");
    assert_eq!(outcome.connections.stale_retries, 1);
    assert_eq!(mock.log().len(), 3);
}

#[test]
fn nobody_listening_fails_each_request() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap();
    let run = LoadRun::new(Base::at(free), Endpoint::Completions, "m", prompts(3, 4));
    let outcome = drive_run(&run);
    let metrics = summarize(&outcome, &SloLimits::default());
    assert_eq!(metrics.row.success_rate, Some(0.0));
    assert_eq!(metrics.row.request_throughput, None);
    assert_eq!(metrics.row.p50_ttft_ms, None);
    assert_eq!(
        metrics.extras.error_classes,
        BTreeMap::from([(ErrorClass::Connect, 3)])
    );
}

#[test]
fn one_failure_among_many_is_counted_and_the_rest_is_measured() {
    let mock = Mock::start(|number| match number {
        0 => answer("500 Broken", "boom"),
        _ => good(),
    });
    let outcome = drive_run(&load(&mock, Endpoint::Completions, 4));
    let limits = SloLimits {
        min_success_rate: Some(0.99),
        max_p50_ttft_ms: Some(10_000.0),
        ..SloLimits::default()
    };
    let metrics = summarize(&outcome, &limits);
    assert_eq!(metrics.row.success_rate, Some(0.75));
    assert_eq!(metrics.extras.completed, 3);
    assert_eq!(metrics.extras.first_error.as_deref(), Some("500: boom"));
    let slo = metrics.slo.unwrap();
    assert!(!slo.passed);
    assert_eq!(slo.slo_attainment, 0.75);
    let verdicts: Vec<(&str, bool, Verdict)> = slo
        .attainment
        .iter()
        .map(|one| (one.limit.as_str(), one.met, one.verdict))
        .collect();
    // Three of four: too few requests to be sure of the half.
    assert_eq!(
        verdicts,
        [
            ("max_p50_ttft_ms", true, Verdict::Undecided),
            ("min_success_rate", false, Verdict::Fail)
        ]
    );
}

#[test]
fn cancelling_returns_what_there_is() {
    let mock = Mock::start(|number| match number {
        0 => good(),
        _ => vec![head(), at(60_000)],
    });
    let mut run = load(&mock, Endpoint::Completions, 3);
    run.max_concurrency = NonZeroUsize::new(1);
    let live = Arc::new(Live::default());
    let (stop, cancel) = tokio::sync::watch::channel(false);
    let watched = Arc::clone(&live);
    std::thread::spawn(move || {
        while watched.counts().done < 1 || watched.counts().sent < 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        stop.send(true).unwrap();
    });
    let before = Instant::now();
    let outcome = drive(&run, &live, cancel).unwrap();
    assert!(outcome.cancelled && before.elapsed() < Duration::from_secs(30));
    assert_eq!(outcome.samples.len(), 3);
    assert!(outcome.samples[0].is_ok());
    assert!(
        outcome.samples[1..]
            .iter()
            .all(|sample| failure(sample).0 == "cancelled")
    );
}

#[test]
fn samples_survive_the_disk_and_damage_is_named() {
    let outcome = drive_run(&load(&Mock::always(good()), Endpoint::Completions, 5));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw.jsonl.zst");
    write_samples(&path, &outcome.samples).unwrap();
    assert_eq!(read_samples(&path).unwrap(), outcome.samples);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    let error = read_samples(&path).unwrap_err();
    assert!(matches!(error, LoadError::BadSample { .. }), "{error}");
}
