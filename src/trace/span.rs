use std::ops::Range;

use super::index::{NameId, SpanIndex, ThreadId};
use super::order::{order_by, reorder};

/// Intervals on CPU threads: framework operators, Python frames, annotations
/// or runtime calls, each kind in a table of its own.
///
/// Rows are sorted by thread, then start, then longest first, so that an
/// enclosing interval comes before what it encloses.
#[derive(Debug, Default)]
pub struct SpanTable {
    pub thread: Vec<ThreadId>,
    pub name: Vec<NameId>,
    /// Nanoseconds on the trace's clock.
    pub start_ns: Vec<i64>,
    /// Nanoseconds, never negative.
    pub dur_ns: Vec<i64>,
    /// The profiler's `External id`, 0 where there is none; an empty column
    /// for Python frames, which have none.
    pub external_id: Vec<u64>,
    /// The innermost earlier span of the same thread that was still open when
    /// this one began.
    pub parent: Vec<Option<SpanIndex>>,
    ranges: Vec<Range<usize>>,
}

impl SpanTable {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.start_ns.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.start_ns.is_empty()
    }

    /// End of a row in nanoseconds.
    pub fn end_ns(&self, row: usize) -> i64 {
        self.start_ns[row].saturating_add(self.dur_ns[row])
    }

    /// The rows of one thread, in order of start.
    pub fn on_thread(&self, thread: ThreadId) -> Range<usize> {
        self.ranges.get(thread.row()).cloned().unwrap_or(0..0)
    }

    /// The innermost span of a thread that covers an instant, both ends included.
    pub fn innermost_at(&self, thread: ThreadId, at_ns: i64) -> Option<SpanIndex> {
        self.enclosing(thread, at_ns).next()
    }

    /// The spans of a thread that cover an instant, innermost first.
    pub fn enclosing(
        &self,
        thread: ThreadId,
        at_ns: i64,
    ) -> impl Iterator<Item = SpanIndex> + use<'_> {
        let rows = self.on_thread(thread);
        let before = self.start_ns[rows.clone()].partition_point(|&start| start <= at_ns);
        let last = before
            .checked_sub(1)
            .and_then(|back| SpanIndex::new(rows.start + back));
        std::iter::successors(last, |span| self.parent[span.row()])
            .filter(move |span| self.end_ns(span.row()) >= at_ns)
    }

    pub(super) fn push(&mut self, thread: ThreadId, name: NameId, start_ns: i64, dur_ns: i64) {
        self.thread.push(thread);
        self.name.push(name);
        self.start_ns.push(start_ns);
        self.dur_ns.push(dur_ns);
    }

    /// Sorts the rows and links each to its parent; gives back the order
    /// where rows moved, so that a caller's own columns can follow.
    pub(super) fn finish(&mut self, threads: usize) -> Option<Vec<u32>> {
        let order = order_by(self.len(), |row| {
            (
                self.thread[row],
                self.start_ns[row],
                std::cmp::Reverse(self.dur_ns[row]),
            )
        });
        if let Some(order) = &order {
            reorder(&mut self.thread, order);
            reorder(&mut self.name, order);
            reorder(&mut self.start_ns, order);
            reorder(&mut self.dur_ns, order);
            reorder(&mut self.external_id, order);
        }
        self.link(threads);
        order
    }

    fn link(&mut self, threads: usize) {
        self.ranges = vec![0..0; threads];
        self.parent = Vec::with_capacity(self.len());
        let mut open: Vec<SpanIndex> = Vec::new();
        for row in 0..self.len() {
            let thread = self.thread[row].row();
            if row == 0 || self.thread[row - 1] != self.thread[row] {
                open.clear();
                self.ranges[thread] = row..row;
            }
            self.ranges[thread].end = row + 1;
            let start = self.start_ns[row];
            while open
                .last()
                .is_some_and(|top| self.end_ns(top.row()) <= start)
            {
                open.pop();
            }
            self.parent.push(open.last().copied());
            open.extend(SpanIndex::new(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(usize, i64, i64)]) -> SpanTable {
        let mut table = SpanTable::default();
        for (name, &(thread, start, end)) in rows.iter().enumerate() {
            table.push(
                ThreadId::new(thread).unwrap(),
                NameId::new(name).unwrap(),
                start,
                end - start,
            );
        }
        table.finish(2);
        table
    }

    fn names_at(table: &SpanTable, thread: usize, at: i64) -> Vec<usize> {
        table
            .enclosing(ThreadId::new(thread).unwrap(), at)
            .map(|span| table.name[span.row()].row())
            .collect()
    }

    #[test]
    fn nested_spans_are_found_innermost_first_whatever_the_file_order() {
        let table = table(&[
            (0, 40, 60),
            (1, 0, 100),
            (0, 0, 100),
            (0, 0, 50),
            (0, 41, 42),
        ]);
        assert_eq!(names_at(&table, 0, 41), [4, 0, 3, 2]);
        assert_eq!(names_at(&table, 0, 55), [0, 2]);
        assert_eq!(names_at(&table, 0, 80), [2]);
        assert_eq!(names_at(&table, 1, 80), [1]);
        assert!(names_at(&table, 0, 101).is_empty());
        assert!(names_at(&table, 1, -1).is_empty());
    }

    #[test]
    fn spans_that_cross_are_both_found_where_they_are_open() {
        let table = table(&[(0, 0, 50), (0, 40, 90), (0, 60, 70)]);
        assert_eq!(names_at(&table, 0, 45), [1, 0]);
        assert_eq!(names_at(&table, 0, 65), [2, 1]);
        assert_eq!(names_at(&table, 0, 80), [1]);
    }
}
