//! From scanned events to tables.

use super::event::{Category, Event};
use super::gpu::{Collective, GpuKind, GpuRow};
use super::index::{NameId, ThreadId};
use super::scan::whole;
use super::span::SpanTable;
use super::warning::TraceWarning;
use super::{ReadOptions, Trace};

/// Times past this are no times: 2^61 ns, the year 2043 on a clock that began
/// in 1970. Sums and differences of what is kept stay in range.
const LATEST_NS: i64 = 1 << 61;
/// Events longer than this, about a day, are taken for damaged.
const LONGEST_NS: i64 = 100_000_000_000_000;

/// Fills a trace's tables, event by event.
pub(super) struct Builder<'o> {
    pub trace: Trace,
    options: &'o ReadOptions,
    last_thread: LastThread,
    untimed: u64,
    unknown_phases: u64,
    unknown_phase: u8,
}

/// The thread of the event before; most events stay on one.
#[derive(Default)]
struct LastThread {
    pid: Vec<u8>,
    tid: Vec<u8>,
    id: Option<ThreadId>,
}

impl<'o> Builder<'o> {
    pub fn new(options: &'o ReadOptions) -> Self {
        Self {
            trace: Trace::default(),
            options,
            last_thread: LastThread::default(),
            untimed: 0,
            unknown_phases: 0,
            unknown_phase: 0,
        }
    }

    /// Events that looked like trace events.
    pub fn seen(&self) -> u64 {
        self.trace.counts.events
    }

    pub fn add(&mut self, event: &Event<'_>) {
        match event.phase {
            0 => return,
            b'X' => self.add_complete(event),
            b'M' => self.add_metadata(event),
            b's' | b't' | b'f' => self.trace.counts.flows += 1,
            b'i' | b'I' | b'n' | b'C' => {}
            other => {
                self.unknown_phases += 1;
                self.unknown_phase = other;
            }
        }
        self.trace.counts.events += 1;
        if event.phase != b'M' {
            let first = &mut self.trace.first_ns;
            *first = event.start_ns.into_iter().chain(*first).min();
        }
    }

    pub fn finish(mut self) -> Trace {
        if self.untimed > 0 {
            let count = self.untimed;
            self.trace.warnings.push(TraceWarning::Untimed { count });
        }
        if self.unknown_phases > 0 {
            self.trace.warnings.push(TraceWarning::UnknownPhase {
                count: self.unknown_phases,
                example: char::from(self.unknown_phase),
            });
        }
        let trace = &mut self.trace;
        let threads = trace.threads.len();
        trace.launches.finish(threads);
        trace.ops.finish(threads);
        trace.annotations.finish(threads);
        trace.frames.finish(threads);
        trace.gpu_annotations.finish();
        trace.gpu.finish(&trace.launches);
        self.trace
    }

    fn add_complete(&mut self, event: &Event<'_>) {
        let counts = &mut self.trace.counts;
        let counter = match event.category {
            Category::Kernel => &mut counts.kernels,
            Category::Memcpy | Category::Memset => &mut counts.copies,
            Category::Runtime => &mut counts.launches,
            Category::CpuOp => &mut counts.cpu_ops,
            Category::PythonFunction => &mut counts.python_frames,
            Category::UserAnnotation | Category::GpuAnnotation => &mut counts.annotations,
            Category::Flow | Category::Other | Category::Unset => return,
        };
        *counter += 1;
        if event.category == Category::PythonFunction && !self.options.python_frames
            || event.category == Category::CpuOp && !self.options.cpu_ops
        {
            return;
        }
        let start = event.start_ns.filter(|ns| ns.abs() <= LATEST_NS);
        let dur = event.dur_ns.filter(|&ns| ns <= LONGEST_NS);
        let (Some(start), Some(dur)) = (start, dur) else {
            self.untimed += 1;
            return;
        };
        // Only a table past four billion rows has no room for a row.
        let _ = self.keep(event, (start, dur.max(0)));
    }

    fn keep(&mut self, event: &Event<'_>, times: (i64, i64)) -> Option<()> {
        let name = self.trace.strings.intern_literal(event.name)?;
        match event.category {
            Category::Kernel => self.add_gpu(event, GpuKind::Kernel, name, times)?,
            Category::Memcpy => self.add_gpu(event, GpuKind::Memcpy, name, times)?,
            Category::Memset => self.add_gpu(event, GpuKind::Memset, name, times)?,
            Category::GpuAnnotation => {
                self.trace
                    .gpu_annotations
                    .push(name, times, track(event), event.args.external_id)
            }
            Category::Runtime => {
                let thread = self.thread(event)?;
                self.trace.launches.push(
                    thread,
                    name,
                    times,
                    event.args.correlation,
                    event.args.external_id,
                );
            }
            Category::PythonFunction => {
                let thread = self.thread(event)?;
                self.trace.frames.push(thread, name, times.0, times.1);
            }
            Category::CpuOp => {
                let thread = self.thread(event)?;
                push_op(&mut self.trace.ops, thread, name, times, event);
            }
            Category::UserAnnotation => {
                let thread = self.thread(event)?;
                push_op(&mut self.trace.annotations, thread, name, times, event);
            }
            Category::Flow | Category::Other | Category::Unset => {}
        }
        Some(())
    }

    fn add_gpu(
        &mut self,
        event: &Event<'_>,
        kind: GpuKind,
        name: NameId,
        (start_ns, dur_ns): (i64, i64),
    ) -> Option<()> {
        let args = &event.args;
        let (device, stream) = track(event);
        if args.collective.is_some() || args.group.is_some() {
            let strings = &mut self.trace.strings;
            let collective = Collective {
                row: u32::try_from(self.trace.gpu.len()).ok()?,
                operation: args
                    .collective
                    .and_then(|text| strings.intern_literal(text)),
                group: args.group.and_then(|text| strings.intern_literal(text)),
                group_size: u32::try_from(args.group_size).unwrap_or(0),
                elements_in: args.elements_in,
                sequence: args.sequence,
            };
            self.trace.gpu.collectives.push(collective);
        }
        self.trace.gpu.push(GpuRow {
            kind,
            name,
            start_ns,
            dur_ns,
            device,
            stream,
            correlation: args.correlation,
            external_id: args.external_id,
            graph_node: args.graph_node,
            grid: args.grid,
            block: args.block,
            bytes: args.bytes,
        });
        Some(())
    }

    fn add_metadata(&mut self, event: &Event<'_>) {
        let (b"process_name", Some(name)) = (event.name, event.args.name) else {
            return;
        };
        let strings = &mut self.trace.strings;
        if let (Some(pid), Some(name)) = (
            strings.intern_literal(event.pid),
            strings.intern_literal(name),
        ) {
            self.trace.meta.process_names.insert(pid, name);
        }
    }

    fn thread(&mut self, event: &Event<'_>) -> Option<ThreadId> {
        let last = &mut self.last_thread;
        if last.id.is_some() && last.pid == event.pid && last.tid == event.tid {
            return last.id;
        }
        let pid = self.trace.strings.intern_literal(event.pid)?;
        let tid = self.trace.strings.intern_literal(event.tid)?;
        last.pid.clear();
        last.pid.extend_from_slice(event.pid);
        last.tid.clear();
        last.tid.extend_from_slice(event.tid);
        last.id = self.trace.threads.add(pid, tid);
        last.id
    }
}

fn push_op(
    table: &mut SpanTable,
    thread: ThreadId,
    name: NameId,
    (start_ns, dur_ns): (i64, i64),
    event: &Event<'_>,
) {
    table.push(thread, name, start_ns, dur_ns);
    table.external_id.push(event.args.external_id);
}

/// Device and stream, from the arguments or else the track that the event is
/// drawn on.
fn track(event: &Event<'_>) -> (u32, u32) {
    let pick = |given: Option<u64>, drawn: &[u8]| {
        given
            .or_else(|| whole(drawn))
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(0)
    };
    (
        pick(event.args.device, event.pid),
        pick(event.args.stream, event.tid),
    )
}
