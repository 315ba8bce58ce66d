use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::index::{LaunchIndex, NameId};
use super::launch::LaunchTable;
use super::order::{order_by, reorder};

/// What kind of work a GPU row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuKind {
    Kernel,
    Memcpy,
    Memset,
}

/// Kernels, copies and fills on GPU streams, sorted by start.
#[derive(Debug, Default)]
pub struct GpuTable {
    pub kind: Vec<GpuKind>,
    pub name: Vec<NameId>,
    /// Nanoseconds on the trace's clock.
    pub start_ns: Vec<i64>,
    /// Nanoseconds, never negative.
    pub dur_ns: Vec<i64>,
    /// GPU index as the profiled process saw it.
    pub device: Vec<u32>,
    pub stream: Vec<u32>,
    /// Ties the work to the call that caused it; all kernels of one graph
    /// replay share one. 0 where there is none.
    pub correlation: Vec<u64>,
    /// The profiler's `External id` of the enclosing operator; 0 where there
    /// is none, as for every kernel of a replayed graph.
    pub external_id: Vec<u64>,
    /// Node of the CUDA graph, where the profiler wrote it; 0 otherwise.
    pub graph_node: Vec<u64>,
    /// Blocks a launch; zeros for copies and fills.
    pub grid: Vec<[u32; 3]>,
    /// Threads a block; zeros for copies and fills.
    pub block: Vec<[u32; 3]>,
    /// Bytes moved by copies and fills; 0 for kernels.
    pub bytes: Vec<u64>,
    /// The call that caused the work.
    pub launch: Vec<Option<LaunchIndex>>,
    /// What the profiler wrote about collectives, in order of row.
    pub collectives: Vec<Collective>,
}

/// A collective operation, as annotated on its kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collective {
    /// Row in [`GpuTable`].
    pub row: u32,
    /// Such as `allreduce` or `_allgather_base`.
    pub operation: Option<NameId>,
    /// Name of the process group.
    pub group: Option<NameId>,
    /// Ranks in the group; 0 when not written.
    pub group_size: u32,
    /// Elements in; 0 when not written.
    pub elements_in: u64,
    /// Position of the operation in its group; `None` when not written.
    pub sequence: Option<u64>,
}

/// One row, as the reader hands it over.
#[derive(Debug, Clone, Copy)]
pub(super) struct GpuRow {
    pub kind: GpuKind,
    pub name: NameId,
    pub start_ns: i64,
    pub dur_ns: i64,
    pub device: u32,
    pub stream: u32,
    pub correlation: u64,
    pub external_id: u64,
    pub graph_node: u64,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub bytes: u64,
}

impl GpuTable {
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

    /// Device and stream of a row.
    pub fn track(&self, row: usize) -> (u32, u32) {
        (self.device[row], self.stream[row])
    }

    pub(super) fn push(&mut self, row: GpuRow) {
        self.kind.push(row.kind);
        self.name.push(row.name);
        self.start_ns.push(row.start_ns);
        self.dur_ns.push(row.dur_ns);
        self.device.push(row.device);
        self.stream.push(row.stream);
        self.correlation.push(row.correlation);
        self.external_id.push(row.external_id);
        self.graph_node.push(row.graph_node);
        self.grid.push(row.grid);
        self.block.push(row.block);
        self.bytes.push(row.bytes);
    }

    /// Sorts the rows by start and ties each to the call that caused it.
    pub(super) fn finish(&mut self, launches: &LaunchTable) {
        if let Some(order) = order_by(self.len(), |row| self.start_ns[row]) {
            self.follow(&order);
        }
        self.launch = (0..self.len())
            .map(|row| launches.causing(self.correlation[row], self.start_ns[row]))
            .collect();
    }

    fn follow(&mut self, order: &[u32]) {
        reorder(&mut self.kind, order);
        reorder(&mut self.name, order);
        reorder(&mut self.start_ns, order);
        reorder(&mut self.dur_ns, order);
        reorder(&mut self.device, order);
        reorder(&mut self.stream, order);
        reorder(&mut self.correlation, order);
        reorder(&mut self.external_id, order);
        reorder(&mut self.graph_node, order);
        reorder(&mut self.grid, order);
        reorder(&mut self.block, order);
        reorder(&mut self.bytes, order);
        if self.collectives.is_empty() {
            return;
        }
        let mut moved = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            moved[old as usize] = new as u32;
        }
        for collective in &mut self.collectives {
            collective.row = moved[collective.row as usize];
        }
        self.collectives.sort_by_key(|collective| collective.row);
    }
}

/// Annotations that the profiler projected onto GPU streams, sorted by start.
#[derive(Debug, Default)]
pub struct GpuAnnotationTable {
    pub name: Vec<NameId>,
    /// Nanoseconds on the trace's clock.
    pub start_ns: Vec<i64>,
    /// Nanoseconds, idle time between the kernels included.
    pub dur_ns: Vec<i64>,
    pub device: Vec<u32>,
    pub stream: Vec<u32>,
    /// Equals the `External id` of the CPU annotation; 0 where there is none.
    pub external_id: Vec<u64>,
}

impl GpuAnnotationTable {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.start_ns.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.start_ns.is_empty()
    }

    pub(super) fn push(
        &mut self,
        name: NameId,
        times: (i64, i64),
        track: (u32, u32),
        external_id: u64,
    ) {
        self.name.push(name);
        self.start_ns.push(times.0);
        self.dur_ns.push(times.1);
        self.device.push(track.0);
        self.stream.push(track.1);
        self.external_id.push(external_id);
    }

    pub(super) fn finish(&mut self) {
        let Some(order) = order_by(self.len(), |row| self.start_ns[row]) else {
            return;
        };
        reorder(&mut self.name, &order);
        reorder(&mut self.start_ns, &order);
        reorder(&mut self.dur_ns, &order);
        reorder(&mut self.device, &order);
        reorder(&mut self.stream, &order);
        reorder(&mut self.external_id, &order);
    }
}
