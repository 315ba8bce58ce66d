//! Counters that a progress display reads while the load runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::{Histogram, Quantiles};

/// Shared counters of a run. Cheap to update from every load thread and to
/// read from anywhere.
#[derive(Debug, Default)]
pub struct Live {
    sent: AtomicU64,
    first_tokens: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    ended_while_decoding: AtomicU64,
    tokens: AtomicU64,
    recent_ttft_us: AtomicU64,
    ttft: Histogram,
    itl: Histogram,
}

/// A reading of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveCounts {
    /// Requests sent.
    pub sent: u64,
    /// Requests sent that have no token yet.
    pub waiting: u64,
    /// Requests that have a token and have not ended.
    pub decoding: u64,
    /// Requests that ended well.
    pub done: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Output tokens so far, as far as can be told while they come.
    pub tokens: u64,
    /// Mean time to first token of about the last eight requests, in microseconds.
    pub recent_ttft_us: Option<u64>,
    /// Times to first token of the run so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_us: Option<Quantiles>,
    /// Gaps between tokens of the run so far; a gap before several tokens counts once for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub itl_us: Option<Quantiles>,
}

impl Live {
    /// Reads all counters. They are read one after another, not at one instant.
    pub fn counts(&self) -> LiveCounts {
        let done = self.done.load(Relaxed);
        let failed = self.failed.load(Relaxed);
        let decoding = self
            .first_tokens
            .load(Relaxed)
            .saturating_sub(self.ended_while_decoding.load(Relaxed));
        let sent = self.sent.load(Relaxed);
        LiveCounts {
            sent,
            waiting: sent.saturating_sub(done + failed + decoding),
            decoding,
            done,
            failed,
            tokens: self.tokens.load(Relaxed),
            recent_ttft_us: Some(self.recent_ttft_us.load(Relaxed)).filter(|ttft| *ttft > 0),
            ttft_us: self.ttft.quantiles(),
            itl_us: self.itl.quantiles(),
        }
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(super) fn first_token(&self, ttft_us: u64) {
        self.first_tokens.fetch_add(1, Relaxed);
        self.ttft.add(ttft_us, 1);
        let before = self.recent_ttft_us.load(Relaxed);
        let mean = if before == 0 {
            ttft_us
        } else {
            (before * 7 + ttft_us) / 8
        };
        self.recent_ttft_us.store(mean.max(1), Relaxed);
    }

    pub(super) fn tokens(&self, count: u64) {
        self.tokens.fetch_add(count, Relaxed);
    }

    /// Tokens that came together, this long after those before them.
    pub(super) fn later_tokens(&self, gap_ns: u64, count: u64) {
        self.itl.add(gap_ns / count.max(1) / 1000, count);
    }

    pub(super) fn ended(&self, had_token: bool, ok: bool) {
        if had_token {
            self.ended_while_decoding.fetch_add(1, Relaxed);
        }
        let counter = if ok { &self.done } else { &self.failed };
        counter.fetch_add(1, Relaxed);
    }
}
