use std::ops::Deref;

use super::index::{LaunchIndex, NameId, ThreadId};
use super::order::{order_by, reorder};
use super::span::SpanTable;

/// CUDA runtime and driver calls: launches, copies, synchronisations, queries.
///
/// Reads like a [`SpanTable`] and adds the correlation id.
#[derive(Debug, Default)]
pub struct LaunchTable {
    spans: SpanTable,
    /// Ties a call to the GPU work that it caused; 0 where there is none.
    pub correlation: Vec<u64>,
    by_correlation: Vec<u32>,
}

impl Deref for LaunchTable {
    type Target = SpanTable;

    fn deref(&self) -> &SpanTable {
        &self.spans
    }
}

impl LaunchTable {
    /// The call that caused GPU work with this correlation id and start; where
    /// an id repeats, the latest call that began before the work did.
    pub fn causing(&self, correlation: u64, gpu_start_ns: i64) -> Option<LaunchIndex> {
        if correlation == 0 {
            return None;
        }
        let key = |row: &u32| self.correlation[*row as usize];
        let first = self
            .by_correlation
            .partition_point(|row| key(row) < correlation);
        let same = self.by_correlation[first..]
            .iter()
            .take_while(|row| key(row) == correlation);
        let mut chosen = None;
        for &row in same {
            let row = row as usize;
            if chosen.is_none() || self.spans.start_ns[row] <= gpu_start_ns {
                chosen = LaunchIndex::new(row);
            }
        }
        chosen
    }

    pub(super) fn push(
        &mut self,
        thread: ThreadId,
        name: NameId,
        times: (i64, i64),
        correlation: u64,
        external_id: u64,
    ) {
        self.spans.push(thread, name, times.0, times.1);
        self.spans.external_id.push(external_id);
        self.correlation.push(correlation);
    }

    pub(super) fn finish(&mut self, threads: usize) {
        if let Some(order) = self.spans.finish(threads) {
            reorder(&mut self.correlation, &order);
        }
        let len = self.spans.len();
        self.by_correlation =
            order_by(len, |row| (self.correlation[row], self.spans.start_ns[row]))
                .unwrap_or_else(|| (0..u32::try_from(len).unwrap_or(u32::MAX)).collect());
    }
}
