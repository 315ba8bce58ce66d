//! One request on its way through the engine, and what it streams.

use super::scheduler::Nanos;

/// A request as the scheduler sees it.
#[derive(Debug, Clone)]
pub struct Submission {
    pub id: u64,
    pub prompt_tokens: u32,
    /// Tokens after which it ends, at least 1.
    pub output_tokens: u32,
    /// Whether it ends because the output is complete rather than cut at a limit.
    pub ends_itself: bool,
    pub arrived: Nanos,
    /// Hashes of the prompt's blocks, for the prefix cache.
    pub blocks: Vec<u64>,
}

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Length,
    Stop,
}

/// Tokens that one sequence gained, as one streamed chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emission {
    pub id: u64,
    /// Tokens in this chunk.
    pub new_tokens: u32,
    /// Tokens of the output so far.
    pub generated: u32,
    pub cached_tokens: u32,
    pub finish: Option<Finish>,
    /// When the request arrived.
    pub arrived: Nanos,
    /// When its previous chunk was streamed; absent for the first.
    pub previous: Option<Nanos>,
    /// When this one is.
    pub at: Nanos,
}

/// A request in the engine.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub submission: Submission,
    /// Tokens that must be in the KV cache before it decodes.
    pub target: u32,
    /// Tokens that are.
    pub computed: u32,
    pub cached: u32,
    pub generated: u32,
    /// Generated tokens that were streamed, and when the last of them was.
    streamed: u32,
    streamed_at: Option<Nanos>,
    /// KV tokens held.
    pub held: u32,
    /// Fraction of a token owed by the accept length.
    pub owed: f64,
}

impl Sequence {
    /// Waits for admission.
    pub fn new(submission: Submission) -> Self {
        Self {
            target: submission.prompt_tokens.max(1),
            computed: 0,
            cached: 0,
            generated: 0,
            streamed: 0,
            streamed_at: None,
            held: 0,
            owed: 0.0,
            submission,
        }
    }

    pub fn remaining(&self) -> u32 {
        self.submission.output_tokens.saturating_sub(self.generated)
    }

    pub fn decodes(&self) -> bool {
        self.computed >= self.target
    }

    /// Tokens that the next decode step yields.
    pub fn next_tokens(&self, accept_length: f64) -> u32 {
        ((self.owed + accept_length).floor() as u32).clamp(1, self.remaining().max(1))
    }

    /// Gives up its KV; prompt and output so far are computed again.
    pub fn restart(&mut self) {
        self.target = self.submission.prompt_tokens + self.generated;
        self.computed = 0;
        self.held = 0;
    }

    /// Adds tokens, and streams them when a chunk of `interval` is full.
    pub fn gain(&mut self, tokens: u32, interval: u32, at: Nanos) -> Option<Emission> {
        let first = self.streamed == 0;
        self.generated += tokens;
        let finish = (self.remaining() == 0).then_some(if self.submission.ends_itself {
            Finish::Stop
        } else {
            Finish::Length
        });
        let held_back = self.generated - self.streamed;
        if !first && finish.is_none() && held_back < interval {
            return None;
        }
        self.streamed = self.generated;
        let previous = self.streamed_at.replace(at);
        Some(Emission {
            id: self.submission.id,
            new_tokens: held_back,
            generated: self.generated,
            cached_tokens: self.cached,
            finish,
            arrived: self.submission.arrived,
            previous,
            at,
        })
    }
}
