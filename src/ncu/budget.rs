//! A bound on what a file can make the reader allocate.

use super::error::{Flaw, Problem};

/// Bytes that may still be taken; estimates suffice, they only need to grow with the truth.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: u64,
}

impl Budget {
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes `bytes` for something read at `offset`.
    pub fn take(&mut self, bytes: usize, offset: u64) -> Result<(), Flaw> {
        self.used = self.used.saturating_add(bytes as u64);
        if self.used <= self.limit {
            return Ok(());
        }
        Err(Flaw {
            offset,
            problem: Problem::TooLarge {
                what: "the decoded report",
                limit: self.limit,
            },
        })
    }
}
