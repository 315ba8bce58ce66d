//! Turns the events of one answer into token counts and times.

use super::chunk::ChunkFacts;
use super::sample::{ErrorClass, RequestError, TokenCountSource, TtftRule};

/// Characters of an engine's words that are kept.
const KEPT_WORDS: usize = 4000;

/// One chunk of the answer: when, and what it says of tokens.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at_ns: u64,
    counted: Option<u64>,
    has_content: bool,
}

/// What has been seen of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    marks: Vec<Mark>,
    final_count: Option<u64>,
    prompt_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    from_meta_info: bool,
    end_ns: Option<u64>,
    finish_reason: Option<String>,
    pub(super) done: bool,
    pub(super) error: Option<RequestError>,
}

/// Tokens and times of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) first_token_ns: Option<u64>,
    pub(super) end_ns: Option<u64>,
    pub(super) chunk_ns: Vec<u64>,
    pub(super) chunk_tokens: Option<Vec<u32>>,
    pub(super) output_tokens: Option<u64>,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) token_count_source: Option<TokenCountSource>,
    pub(super) ttft_rule: Option<TtftRule>,
    pub(super) finish_reason: Option<String>,
}

impl Tally {
    /// Takes the facts of one event; returns the tokens that it adds, as far
    /// as can be told at once (for progress only).
    pub(super) fn take(&mut self, facts: ChunkFacts, at_ns: u64) -> u64 {
        let before = self.final_count.unwrap_or(0);
        self.final_count = facts.completion_tokens.or(self.final_count);
        self.prompt_tokens = facts.prompt_tokens.or(self.prompt_tokens);
        self.cached_tokens = facts.cached_tokens.or(self.cached_tokens);
        self.from_meta_info |= facts.from_meta_info;
        if facts.is_answer {
            self.end_ns = Some(at_ns);
            self.marks.push(Mark {
                at_ns,
                counted: facts.completion_tokens,
                has_content: facts.has_content,
            });
        }
        if let Some(words) = facts.error {
            self.fail(ErrorClass::InStreamError, &words);
        } else if let Some(stop) = &facts.matched_stop
            && stop.contains("NaN happened")
        {
            self.fail(ErrorClass::Nan, stop);
        }
        if let Some(reason) = facts.finish_reason {
            if matches!(reason.as_str(), "abort" | "error") {
                let words = format!("the engine ended the request with finish reason `{reason}`");
                self.fail(ErrorClass::InStreamError, &words);
            }
            self.finish_reason = Some(reason);
        }
        match facts.completion_tokens {
            Some(count) if facts.is_answer => count.saturating_sub(before),
            _ => u64::from(facts.has_content),
        }
    }

    /// Records a failure; the first one stands.
    pub(super) fn fail(&mut self, class: ErrorClass, words: &str) {
        if self.error.is_none() {
            self.error = Some(RequestError {
                class,
                message: words.chars().take(KEPT_WORDS).collect(),
            });
        }
    }

    /// Whether any event of an answer has been seen.
    pub(super) fn has_begun(&self) -> bool {
        !self.marks.is_empty() || self.done || self.final_count.is_some()
    }

    /// Whether the answer is whole even if the connection now breaks.
    pub(super) fn is_whole(&self) -> bool {
        self.done || (self.finish_reason.is_some() && self.final_count.is_some())
    }

    /// Checks what only the end of the stream can show.
    pub(super) fn ended(&mut self) {
        if !self.done && self.finish_reason.is_none() {
            self.fail(
                ErrorClass::Truncated,
                "the stream ended without a finish reason",
            );
        } else if self.final_count.is_none() && !self.marks.iter().any(|mark| mark.has_content) {
            self.fail(ErrorClass::Empty, "the answer held no token");
        }
    }

    /// Settles the counts by the most trustworthy source that the engine offered.
    pub(super) fn account(self) -> Account {
        let mut account = if self.is_counted_by_chunk() {
            self.account_by_counts()
        } else {
            self.account_by_content()
        };
        account.end_ns = self.end_ns;
        account.prompt_tokens = self.prompt_tokens;
        account.cached_tokens = self.cached_tokens;
        account.finish_reason = self.finish_reason;
        account
    }

    /// Whether every chunk with content carries a count, so that each
    /// chunk's own tokens are known. A count on the finish chunk alone
    /// is a total.
    fn is_counted_by_chunk(&self) -> bool {
        let mut with_content = self.marks.iter().filter(|mark| mark.has_content).peekable();
        if with_content.peek().is_some() {
            with_content.all(|mark| mark.counted.is_some())
        } else {
            self.marks
                .iter()
                .filter(|mark| mark.counted.is_some())
                .count()
                > 1
        }
    }

    fn account_by_counts(&self) -> Account {
        let mut chunk_ns = Vec::with_capacity(self.marks.len());
        let mut chunk_tokens = Vec::with_capacity(self.marks.len());
        let mut before = 0;
        for mark in &self.marks {
            let Some(count) = mark.counted.filter(|count| *count > before) else {
                continue;
            };
            chunk_ns.push(mark.at_ns);
            chunk_tokens.push(u32::try_from(count - before).unwrap_or(u32::MAX));
            before = count;
        }
        Account {
            first_token_ns: chunk_ns.first().copied(),
            chunk_ns,
            chunk_tokens: Some(chunk_tokens),
            output_tokens: self.final_count,
            token_count_source: Some(if self.from_meta_info {
                TokenCountSource::MetaInfo
            } else {
                TokenCountSource::ContinuousUsage
            }),
            ttft_rule: Some(TtftRule::FirstCountedToken),
            ..Account::default()
        }
    }

    fn account_by_content(&self) -> Account {
        let chunk_ns: Vec<u64> = self
            .marks
            .iter()
            .filter(|mark| mark.has_content)
            .map(|mark| mark.at_ns)
            .collect();
        let chunks = chunk_ns.len() as u64;
        let (output_tokens, source) = match self.final_count {
            Some(count) => (Some(count), Some(TokenCountSource::Usage)),
            None if chunks > 0 => (Some(chunks), Some(TokenCountSource::Chunks)),
            None => (None, None),
        };
        // As many chunks as counted tokens: each holds exactly one.
        let one_each = self.final_count == Some(chunks);
        Account {
            first_token_ns: chunk_ns.first().copied(),
            chunk_tokens: one_each.then(|| vec![1; chunk_ns.len()]),
            ttft_rule: (chunks > 0).then_some(TtftRule::FirstContent),
            chunk_ns,
            output_tokens,
            token_count_source: source,
            ..Account::default()
        }
    }
}
