use std::collections::HashMap;

use super::index::{NameId, ThreadId};

/// The CPU threads that appear in a trace, keyed by process and thread id.
#[derive(Debug, Default)]
pub struct ThreadTable {
    /// Process id as written: a number, or a word such as `Spans`.
    pub pid: Vec<NameId>,
    /// Thread id as written.
    pub tid: Vec<NameId>,
    known: HashMap<(NameId, NameId), ThreadId>,
}

impl ThreadTable {
    /// The number of threads.
    pub fn len(&self) -> usize {
        self.pid.len()
    }

    /// Whether no thread was seen.
    pub fn is_empty(&self) -> bool {
        self.pid.is_empty()
    }

    /// Every thread, in the order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = ThreadId> + use<> {
        (0..self.len()).filter_map(ThreadId::new)
    }

    pub(super) fn add(&mut self, pid: NameId, tid: NameId) -> Option<ThreadId> {
        if let Some(&id) = self.known.get(&(pid, tid)) {
            return Some(id);
        }
        let id = ThreadId::new(self.pid.len())?;
        self.pid.push(pid);
        self.tid.push(tid);
        self.known.insert((pid, tid), id);
        Some(id)
    }
}
