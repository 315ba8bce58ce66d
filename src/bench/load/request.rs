//! The life of one request, from due to its last byte.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::chunk::read_chunk;
use super::live::Live;
use super::sample::{ErrorClass, Sample};
use super::sse::{Event, Splitter};
use super::tally::{Account, Tally};
use crate::http::{Exchange, HttpError, Pool};

/// Bytes of a refused or unreadable answer that are kept.
const KEPT_BODY: usize = 16 << 10;

/// How long the rest of a body may take after the engine said `[DONE]`.
const DRAIN: Duration = Duration::from_millis(100);

/// What a sample says of its prompt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) prompt_tokens: Option<u32>,
    pub(super) output_tokens: u32,
}

/// What all requests of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bodies: Vec<Bytes>,
    pub(super) asked: Vec<Asked>,
    pub(super) due: Vec<Duration>,
    pub(super) path: &'static str,
    pub(super) timeout: Duration,
    pub(super) cap: Option<Semaphore>,
    pub(super) live: Arc<Live>,
    pub(super) start: Instant,
}

impl Shared {
    fn since_start(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.start))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A sample of which nothing is known but the schedule.
pub(super) fn blank(shared: &Shared, index: usize) -> Sample {
    let asked = shared.asked.get(index).copied().unwrap_or_default();
    let due_ns = shared.due.get(index).map_or(0, |due| nanos(*due));
    Sample {
        index,
        due_ns,
        woke_ns: due_ns,
        released_ns: due_ns,
        sent_ns: due_ns,
        sent_prompt_tokens: asked.prompt_tokens,
        requested_tokens: asked.output_tokens,
        ..Sample::default()
    }
}

/// Sends one request and reads its answer to the end.
pub(super) async fn perform(shared: &Shared, pool: &Pool, index: usize) -> Sample {
    let mut sample = blank(shared, index);
    sample.woke_ns = shared.since_start(Instant::now());
    // The semaphore is never closed, so an error cannot occur.
    let _permit = match &shared.cap {
        Some(cap) => cap.acquire().await.ok(),
        None => None,
    };
    sample.released_ns = shared.since_start(Instant::now());
    sample.sent_ns = sample.released_ns;
    shared.live.sent();
    let mut answer = Answer::new(shared);
    let body = shared.bodies.get(index).cloned().unwrap_or_default();
    let exchange = answer.receive(pool, body, &mut sample);
    if tokio::time::timeout(shared.timeout, exchange)
        .await
        .is_err()
    {
        let seconds = shared.timeout.as_secs_f64();
        let words = format!("no complete answer within {seconds} s");
        answer.tally.fail(ErrorClass::Timeout, &words);
    }
    let had_token = answer.had_token;
    let finished = shared.since_start(Instant::now());
    sample.finished_ns = finished.saturating_sub(sample.sent_ns);
    answer.settle(&mut sample);
    shared.live.ended(had_token, sample.is_ok());
    sample
}

struct Answer<'a> {
    shared: &'a Shared,
    tally: Tally,
    had_token: bool,
    /// When the last token came, from sent.
    last_token_ns: u64,
    /// The start of the body, kept until it proves to be an event stream.
    head: Vec<u8>,
}

impl<'a> Answer<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            tally: Tally::default(),
            had_token: false,
            last_token_ns: 0,
            head: Vec::new(),
        }
    }

    async fn receive(&mut self, pool: &Pool, body: Bytes, sample: &mut Sample) {
        let mut exchange = match pool.post_json(self.shared.path, body).await {
            Ok(exchange) => exchange,
            Err(error) => return self.tally.fail(class_of(&error), &error.to_string()),
        };
        sample.status = Some(exchange.status);
        sample.sent_ns = self.shared.since_start(exchange.sent);
        sample.connect_ns = nanos(exchange.connect);
        sample.reused = exchange.reused;
        sample.retried = exchange.retried;
        let whole = if (200..300).contains(&exchange.status) {
            self.stream(&mut exchange).await
        } else {
            self.refusal(&mut exchange).await
        };
        if whole {
            pool.put_back(exchange);
        }
    }

    /// Reads the event stream; whether the body was read to its end.
    async fn stream(&mut self, exchange: &mut Exchange) -> bool {
        let mut splitter = Splitter::default();
        let sent = exchange.sent;
        loop {
            let chunk = match exchange.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    if !self.tally.is_whole() {
                        self.tally.fail(ErrorClass::Disconnect, &error.to_string());
                    }
                    return false;
                }
            };
            let at = nanos(chunk.at.saturating_duration_since(sent));
            self.keep_head(chunk.bytes);
            let mut sink = |event: Event<'_>| self.event(&event, at);
            if splitter.push(chunk.bytes, &mut sink).is_err() {
                self.tally
                    .fail(ErrorClass::Malformed, "an event is longer than 64 MiB");
            }
            if self.tally.error.is_some() {
                return false;
            }
            if self.tally.done {
                self.tally.ended();
                return drain(exchange).await;
            }
        }
        let at = nanos(sent.elapsed());
        let mut sink = |event: Event<'_>| self.event(&event, at);
        if splitter.finish(&mut sink).is_err() {
            self.tally
                .fail(ErrorClass::Malformed, "an event is longer than 64 MiB");
        }
        if !self.tally.has_begun() && !self.head.is_empty() {
            let words = format!(
                "the answer is no event stream: {}",
                String::from_utf8_lossy(&self.head)
            );
            self.tally.fail(ErrorClass::Malformed, &words);
        }
        self.tally.ended();
        true
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        if !self.tally.has_begun() && self.head.len() < KEPT_BODY {
            let room = KEPT_BODY - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn event(&mut self, event: &Event<'_>, at_ns: u64) {
        if event.data == b"[DONE]" {
            self.tally.done = true;
            return;
        }
        if self.tally.error.is_some() || event.data.is_empty() {
            return;
        }
        let text = || String::from_utf8_lossy(&event.data[..event.data.len().min(KEPT_BODY)]);
        match read_chunk(event.data) {
            Err(_) if event.is_error => self.tally.fail(ErrorClass::InStreamError, &text()),
            Err(error) => {
                let words = format!("an event is no JSON of a known form ({error}): {}", text());
                self.tally.fail(ErrorClass::Malformed, &words);
            }
            Ok(mut facts) => {
                if event.is_error && facts.error.is_none() {
                    facts.error = Some(text().into_owned());
                }
                let tokens = self.tally.take(facts, at_ns);
                if tokens > 0 {
                    self.shared.live.tokens(tokens);
                    if !self.had_token {
                        self.had_token = true;
                        self.shared.live.first_token(at_ns / 1000);
                    } else {
                        let gap_ns = at_ns.saturating_sub(self.last_token_ns);
                        self.shared.live.later_tokens(gap_ns, tokens);
                    }
                    self.last_token_ns = at_ns;
                }
            }
        }
    }

    /// Reads the body of a refused request; whether it was read to its end.
    async fn refusal(&mut self, exchange: &mut Exchange) -> bool {
        let mut body = Vec::new();
        let whole = loop {
            match exchange.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(chunk.bytes),
                Ok(None) => break true,
                Err(_) => break false,
            }
            if body.len() > KEPT_BODY {
                break false;
            }
        };
        let class = if (400..500).contains(&exchange.status) {
            ErrorClass::Http4xx
        } else {
            ErrorClass::Http5xx
        };
        let words = format!("{}: {}", exchange.status, String::from_utf8_lossy(&body));
        self.tally.fail(class, &words);
        whole
    }

    fn settle(mut self, sample: &mut Sample) {
        sample.error = self.tally.error.take();
        let Account {
            first_token_ns,
            end_ns,
            chunk_ns,
            chunk_tokens,
            output_tokens,
            prompt_tokens,
            cached_tokens,
            token_count_source,
            ttft_rule,
            finish_reason,
        } = self.tally.account();
        sample.first_token_ns = first_token_ns;
        sample.end_ns = end_ns;
        sample.chunk_ns = chunk_ns;
        sample.chunk_tokens = chunk_tokens;
        sample.output_tokens = output_tokens;
        sample.prompt_tokens = prompt_tokens;
        sample.cached_tokens = cached_tokens;
        sample.token_count_source = token_count_source;
        sample.ttft_rule = ttft_rule;
        sample.finish_reason = finish_reason;
    }
}

/// Reads on to the end of the body, so that the connection can be kept.
async fn drain(exchange: &mut Exchange) -> bool {
    let rest = async { while let Ok(Some(_)) = exchange.chunk().await {} };
    tokio::time::timeout(DRAIN, rest).await.is_ok()
}

fn class_of(error: &HttpError) -> ErrorClass {
    match error {
        HttpError::Connect { .. } => ErrorClass::Connect,
        HttpError::ClosedBeforeAnswer { .. } => ErrorClass::ClosedBeforeAnswer,
        _ => ErrorClass::Malformed,
    }
}
