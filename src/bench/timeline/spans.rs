//! From samples to requests on one clock, and the preemptions among them.

use super::grid::Grid;
use super::record::{Pause, RequestSpan, micros};
use crate::bench::load::Sample;

const NS_PER_S: f64 = 1e9;
/// A gap this many times a request's mean gap may be a preemption.
const LONG_GAP: f64 = 8.0;
/// And it is one when each other request got this many tokens meanwhile.
const STEPS_MISSED: f64 = 4.0;
/// Gaps under this share of the run are no preemption.
const SHORTEST_PAUSE: f64 = 1e-3;

/// A successful request: its span and its chunks.
pub struct Request<'a> {
    pub span: RequestSpan,
    /// When it was sent, in nanoseconds of the sample's clock.
    base_ns: u64,
    origin_ns: u64,
    sample: &'a Sample,
}

/// The successful requests that got a token, on a clock that starts when the
/// first request was sent.
pub fn requests(samples: &[Sample]) -> Vec<Request<'_>> {
    let usable = || {
        samples
            .iter()
            .filter(|s| s.is_ok() && !s.chunk_ns.is_empty())
    };
    let origin_ns = usable().map(|s| s.sent_ns).min().unwrap_or_default();
    usable()
        .map(|sample| {
            let at = |ns: u64| micros((sample.sent_ns - origin_ns + ns) as f64 / NS_PER_S);
            let first = sample.chunk_ns.first().copied().unwrap_or_default();
            let last = sample.chunk_ns.last().copied().unwrap_or_default();
            Request {
                span: RequestSpan {
                    index: sample.index,
                    sent: at(0),
                    first: at(sample.first_token_ns.unwrap_or(first)),
                    end: at(sample.end_ns.unwrap_or(last).max(last)),
                    prompt: sample.prompt_len().unwrap_or_default(),
                    output: sample
                        .output_tokens
                        .unwrap_or(sample.chunk_ns.len() as u64)
                        .max(1),
                    pauses: Vec::new(),
                },
                base_ns: sample.sent_ns,
                origin_ns,
                sample,
            }
        })
        .collect()
}

impl Request<'_> {
    /// Every chunk after the first: when it came, its tokens, and the output
    /// tokens before it. Where the engine does not say what a chunk holds,
    /// the tokens are spread evenly.
    pub fn later_chunks(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let chunks = &self.sample.chunk_ns;
        let known = self.sample.chunk_tokens.as_deref();
        let first = match known {
            Some(tokens) => tokens.first().map_or(1.0, |tokens| f64::from(*tokens)),
            None => 1.0,
        };
        let rest = (chunks.len().saturating_sub(1)).max(1) as f64;
        let each = (self.span.output as f64 - first).max(0.0) / rest;
        let mut before = first;
        chunks.iter().enumerate().skip(1).map(move |(i, ns)| {
            let tokens = known
                .and_then(|tokens| tokens.get(i))
                .map_or(each, |tokens| f64::from(*tokens));
            let had = before;
            before += tokens;
            (self.seconds(*ns), tokens, had)
        })
    }

    fn seconds(&self, ns: u64) -> f64 {
        (self.base_ns - self.origin_ns + ns) as f64 / NS_PER_S
    }

    /// The last moment up to `at` at which a token came.
    pub fn token_by(&self, at: f64) -> Option<f64> {
        let chunks = &self.sample.chunk_ns;
        let after = chunks.partition_point(|ns| self.seconds(*ns) <= at);
        Some(self.seconds(*chunks.get(after.checked_sub(1)?)?))
    }

    /// Finds the gaps in which this request alone stood still. `grid` holds
    /// the decode tokens of the whole run, `firsts` and `ends` the sorted
    /// first and last tokens of all requests.
    pub fn find_pauses(&mut self, grid: &Grid, firsts: &[f64], ends: &[f64], duration: f64) {
        let chunks = self.sample.chunk_ns.len();
        if chunks < 3 {
            return;
        }
        let mean = (self.span.end - self.span.first) / (chunks - 1) as f64;
        let long = (LONG_GAP * mean).max(SHORTEST_PAUSE * duration);
        let mut pauses = Vec::new();
        let mut previous = self.span.first;
        for (at, _, had) in self.later_chunks() {
            if at - previous > long {
                let begun = firsts.partition_point(|first| *first <= at);
                let ended = ends.partition_point(|end| *end <= at);
                let decoding = begun.saturating_sub(ended);
                let others = decoding.saturating_sub(1).max(1) as f64;
                let tokens = grid.tokens_within(previous, at);
                if tokens >= STEPS_MISSED * others {
                    pauses.push(Pause {
                        from: micros(previous),
                        to: micros(at),
                        tokens: had.round() as u64,
                    });
                }
            }
            previous = at;
        }
        self.span.pauses = pauses;
    }
}
