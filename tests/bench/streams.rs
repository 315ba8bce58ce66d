//! How tokens are counted and timed, dialect by dialect: one test a pitfall.

use proptest::prelude::*;
use sota_loop::bench::load::{Endpoint, Sample, TokenCountSource, TtftRule};
use sota_loop::bench::metrics::{SloLimits, summarize};

use crate::mock::{Mock, Step, at, body, end, event, head};
use crate::support::{drive_run, fixture, load, one, stream};

const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;

fn delta(members: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{{members}}},"finish_reason":null}}]}}"#)
}

fn text(text: &str, tokens: Option<u64>) -> String {
    let usage = tokens.map_or("null".to_owned(), |n| {
        format!(r#"{{"prompt_tokens":3,"completion_tokens":{n}}}"#)
    });
    format!(r#"{{"choices":[{{"index":0,"text":"{text}","finish_reason":null}}],"usage":{usage}}}"#)
}

fn usage(tokens: u64) -> String {
    format!(r#"{{"choices":[],"usage":{{"prompt_tokens":3,"completion_tokens":{tokens}}}}}"#)
}

fn finish() -> String {
    r#"{"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#.to_owned()
}

/// Events at these milliseconds, then [DONE] with the last.
fn timed(events: &[(u64, String)]) -> Vec<Step> {
    let mut steps = vec![head()];
    for (ms, json) in events {
        steps.extend([at(*ms), event(json)]);
    }
    steps.extend([event("[DONE]"), end()]);
    steps
}

/// Whether a time is at, or at most 25 ms after, the mock's.
fn about(ns: u64, ms: u64) -> bool {
    let from = ms.saturating_sub(2) * 1_000_000;
    (from..(ms + 25) * 1_000_000).contains(&ns)
}

fn ok(sample: &Sample) -> &Sample {
    assert_eq!(sample.error, None);
    sample
}

fn facts(
    sample: &Sample,
) -> (
    Option<u64>,
    Option<TokenCountSource>,
    Option<TtftRule>,
    usize,
) {
    (
        ok(sample).output_tokens,
        sample.token_count_source,
        sample.ttft_rule,
        sample.chunk_ns.len(),
    )
}

use TokenCountSource::{Chunks, ContinuousUsage, MetaInfo, Usage};
use TtftRule::{FirstContent, FirstCountedToken};

#[test]
fn a_role_only_first_delta_is_no_token() {
    let sample = one(
        Endpoint::Chat,
        timed(&[
            (0, delta(r#""role":"assistant","content":"""#)),
            (60, delta(r#""content":"a""#)),
            (90, delta(r#""content":"b""#)),
            (90, FINISH.to_owned()),
            (90, usage(2)),
        ]),
    );
    assert_eq!(
        facts(&sample),
        (Some(2), Some(Usage), Some(FirstContent), 2)
    );
    assert!(about(sample.first_token_ns.unwrap(), 60), "{sample:?}");
    assert_eq!(sample.chunk_tokens, Some(vec![1, 1]));
}

#[test]
fn a_counted_role_only_delta_is_no_token_either() {
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":3,"completion_tokens":0}}"#;
    let counted = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let sample = one(
        Endpoint::Chat,
        timed(&[(0, role.to_owned()), (60, counted.to_owned())]),
    );
    assert_eq!(
        facts(&sample),
        (Some(1), Some(ContinuousUsage), Some(FirstCountedToken), 1)
    );
    assert!(about(sample.first_token_ns.unwrap(), 60), "{sample:?}");
}

#[test]
fn several_tokens_in_a_chunk_are_counted_and_share_their_gap() {
    let sample = one(
        Endpoint::Completions,
        timed(&[
            (10, text("a", Some(1))),
            (70, text("b c d", Some(4))),
            (70, finish()),
            (70, usage(4)),
        ]),
    );
    assert_eq!(
        facts(&sample),
        (Some(4), Some(ContinuousUsage), Some(FirstCountedToken), 2)
    );
    assert_eq!(sample.chunk_tokens, Some(vec![1, 3]));
}

#[test]
fn the_tpot_divisor_leaves_out_all_tokens_of_the_first_chunk() {
    let steps = timed(&[
        (0, text("a b c d", Some(4))),
        (60, text("e f", Some(6))),
        (60, finish()),
        (60, usage(6)),
    ]);
    let outcome = drive_run(&load(&Mock::always(steps), Endpoint::Completions, 1));
    let metrics = summarize(&outcome, &SloLimits::default());
    let sample = &outcome.samples[0];
    assert_eq!(sample.first_chunk_tokens(), 4);
    let later = (sample.end_ns.unwrap() - sample.first_token_ns.unwrap()) as f64 / 1e6;
    let same = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-9;
    assert!(same(metrics.row.p50_tpot_ms, later / 2.0));
    let gap = (sample.chunk_ns[1] - sample.chunk_ns[0]) as f64 / 1e6;
    assert!(same(metrics.row.mean_itl_ms, gap / 2.0));
    assert!(same(metrics.extras.p50_inter_chunk_ms, gap));
    assert_eq!(metrics.extras.chunks_per_token_mean, Some(2.0 / 6.0));
    assert!(metrics.extras.itl_is_per_token);
}

#[test]
fn a_counted_token_with_empty_text_is_the_first_token() {
    let sample = one(
        Endpoint::Completions,
        timed(&[
            (20, text("", Some(1))),
            (80, text("a", Some(2))),
            (80, finish()),
            (80, usage(2)),
        ]),
    );
    assert_eq!(facts(&sample).0, Some(2));
    assert!(about(sample.first_token_ns.unwrap(), 20), "{sample:?}");
    assert_eq!(sample.chunk_tokens, Some(vec![1, 1]));
}

#[test]
fn empty_text_chunks_without_counts_leave_the_tokens_of_a_chunk_unknown() {
    let sample = one(
        Endpoint::Completions,
        timed(&[
            (0, text("a", None)),
            (10, text("", None)),
            (20, text("b", None)),
            (20, finish()),
            (20, usage(3)),
        ]),
    );
    assert_eq!(
        facts(&sample),
        (Some(3), Some(Usage), Some(FirstContent), 2)
    );
    assert_eq!(sample.chunk_tokens, None);
}

#[test]
fn usage_on_the_finish_chunk_is_a_total() {
    let last = r#"{"choices":[{"index":0,"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":64,"completion_tokens":2}}"#;
    let sample = one(
        Endpoint::Completions,
        timed(&[
            (0, text("a", None)),
            (10, text("b", None)),
            (10, last.to_owned()),
        ]),
    );
    assert_eq!(
        facts(&sample),
        (Some(2), Some(Usage), Some(FirstContent), 2)
    );
    assert_eq!(sample.prompt_tokens, Some(64));
    assert_eq!(sample.finish_reason.as_deref(), Some("length"));
}

#[test]
fn a_usage_only_chunk_is_not_part_of_the_answer() {
    let sample = one(
        Endpoint::Completions,
        timed(&[(0, text("a", None)), (0, finish()), (120, usage(1))]),
    );
    assert_eq!(facts(&sample).0, Some(1));
    assert!(about(sample.end_ns.unwrap(), 0), "{sample:?}");
    assert!(sample.finished_ns > 110_000_000);
}

#[test]
fn a_stream_may_end_without_done() {
    let sse = format!("data: {}\n\ndata: {}\n\n", text("a", Some(1)), finish());
    let sample = one(Endpoint::Completions, stream(&sse));
    assert_eq!(facts(&sample).0, Some(1));
}

#[test]
fn a_stream_may_end_with_the_connection() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let sse = format!("data: {}\n\ndata: {}\n\n", text("a", Some(1)), finish());
    let steps = vec![
        crate::mock::write(head),
        crate::mock::write(sse),
        Step::Close,
    ];
    assert_eq!(facts(&one(Endpoint::Completions, steps)).0, Some(1));
}

#[test]
fn carriage_returns_comments_and_missing_spaces() {
    let sse = format!(
        ": ping\r\n\r\ndata:{}\r\n\r\n: ping\r\ndata: {}\r\n\r\ndata:[DONE]\r\n\r\n",
        text("a\u{2028}b", Some(1)),
        finish()
    );
    let sample = one(Endpoint::Completions, stream(&sse));
    assert_eq!(
        facts(&sample),
        (Some(1), Some(ContinuousUsage), Some(FirstCountedToken), 1)
    );
}

#[test]
fn reasoning_and_tool_call_deltas_are_tokens() {
    let call = r#""tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]"#;
    let sample = one(
        Endpoint::Chat,
        timed(&[
            (0, delta(r#""role":"assistant","content":null"#)),
            (40, delta(r#""reasoning_content":"hm""#)),
            (50, delta(r#""reasoning":"hm""#)),
            (60, delta(call)),
            (70, delta(r#""content":"a""#)),
            (70, FINISH.to_owned()),
            (70, usage(4)),
        ]),
    );
    assert_eq!(
        facts(&sample),
        (Some(4), Some(Usage), Some(FirstContent), 4)
    );
    assert!(about(sample.first_token_ns.unwrap(), 40), "{sample:?}");
    assert_eq!(sample.chunk_tokens, Some(vec![1; 4]));
}

#[test]
fn without_any_usage_chunks_are_counted_and_that_is_said() {
    let sample = one(
        Endpoint::Completions,
        timed(&[(0, text("a", None)), (5, text("b", None)), (5, finish())]),
    );
    // Two chunks of the 16 tokens asked for: never the requested length.
    assert_eq!(
        facts(&sample),
        (Some(2), Some(Chunks), Some(FirstContent), 2)
    );
    assert_eq!(sample.chunk_tokens, None);
}

#[test]
fn cached_prompt_tokens_are_kept() {
    let last = r#"{"choices":[],"usage":{"prompt_tokens":64,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":48}}}"#;
    let steps = timed(&[(0, text("a", None)), (0, finish()), (0, last.to_owned())]);
    let outcome = drive_run(&load(&Mock::always(steps), Endpoint::Completions, 1));
    let metrics = summarize(&outcome, &SloLimits::default());
    assert_eq!(metrics.extras.prefix_cache_hit_rate, Some(0.75));
}

#[test]
fn an_event_of_many_reads_is_stamped_when_it_is_whole() {
    let whole = format!("data: {}\n\n", text(&"x".repeat(50_000), Some(1)));
    let (front, back) = whole.split_at(20_000);
    let steps = vec![
        head(),
        body(front),
        at(60),
        body(back),
        event(&finish()),
        event("[DONE]"),
        end(),
    ];
    let sample = one(Endpoint::Completions, steps);
    assert!(about(ok(&sample).first_token_ns.unwrap(), 60), "{sample:?}");
}

struct Recorded {
    file: &'static str,
    endpoint: Endpoint,
    prompt_tokens: u64,
    source: TokenCountSource,
    rule: TtftRule,
}

/// The raw streams of real engines: 24 tokens each.
const RECORDED: [Recorded; 5] = [
    Recorded {
        file: "vllm_completions.sse",
        endpoint: Endpoint::Completions,
        prompt_tokens: 3,
        source: Usage,
        rule: FirstContent,
    },
    Recorded {
        file: "vllm_chat.sse",
        endpoint: Endpoint::Chat,
        prompt_tokens: 12,
        source: ContinuousUsage,
        rule: FirstCountedToken,
    },
    Recorded {
        file: "sglang_completions.sse",
        endpoint: Endpoint::Completions,
        prompt_tokens: 3,
        source: Usage,
        rule: FirstContent,
    },
    Recorded {
        file: "sglang_chat.sse",
        endpoint: Endpoint::Chat,
        prompt_tokens: 12,
        source: ContinuousUsage,
        rule: FirstCountedToken,
    },
    Recorded {
        file: "sglang_generate.sse",
        endpoint: Endpoint::Generate,
        prompt_tokens: 3,
        source: MetaInfo,
        rule: FirstCountedToken,
    },
];

impl Recorded {
    fn check(&self, sample: &Sample) {
        let expected = (Some(24), Some(self.source), Some(self.rule), 24);
        assert_eq!(facts(sample), expected, "{}", self.file);
        assert_eq!(sample.chunk_tokens, Some(vec![1; 24]), "{}", self.file);
        assert_eq!(sample.prompt_tokens, Some(self.prompt_tokens));
        assert_eq!(sample.finish_reason.as_deref(), Some("length"));
    }

    fn sse(&self) -> String {
        std::fs::read_to_string(fixture(self.file)).unwrap()
    }
}

#[test]
fn real_streams_of_vllm_and_sglang() {
    for recorded in &RECORDED {
        recorded.check(&one(recorded.endpoint, stream(&recorded.sse())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Cut anywhere, over any number of HTTP chunks and packets.
    #[test]
    fn real_streams_cut_at_any_byte(
        which in 0..RECORDED.len(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        returns in any::<bool>(),
    ) {
        let recorded = &RECORDED[which];
        let mut sse = recorded.sse();
        if returns {
            sse = sse.replace('\n', "\r\n");
        }
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(sse.len())).collect();
        places.extend([0, sse.len()]);
        places.sort_unstable();
        places.dedup();
        let mut steps = vec![head()];
        for pair in places.windows(2) {
            steps.push(body(&sse.as_bytes()[pair[0]..pair[1]]));
        }
        steps.push(end());
        recorded.check(&one(recorded.endpoint, steps));
    }
}
