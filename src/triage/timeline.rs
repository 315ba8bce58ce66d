//! One device's work as an exact sweep over all its streams.

use std::collections::HashMap;

use super::loaded::Loaded;
use crate::trace::{GpuKind, KernelCategory};

/// Streams told apart; all others are taken as one, which bounds the sweep.
const MOST_STREAMS: usize = 1024;

/// A stretch in which the same kinds of work ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub start_ns: i64,
    pub end_ns: i64,
    pub kinds: Kinds,
    /// The row whose start began it.
    pub opened_by: u32,
    /// The row whose end closed it.
    pub closed_by: u32,
}

/// Which kinds of work are running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds {
    pub kernel: bool,
    pub communication: bool,
    pub copy: bool,
}

/// How one row's time relates to the work on other streams.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Overlap {
    /// Time after the end of its predecessor on the stream: kernels started
    /// early by programmatic dependent launch wait for it first.
    pub effective_ns: i64,
    /// No other stream was working.
    pub exposed_ns: i64,
    /// Another stream was working.
    pub hidden_ns: i64,
    /// Another stream was computing.
    pub hidden_by_compute_ns: i64,
    /// Its part when each instant is divided evenly among the running rows;
    /// over all rows this adds up to the busy time, to within a nanosecond
    /// for each row.
    pub even_ns: f64,
}

/// A device's busy stretches and each row's overlap.
#[derive(Debug)]
pub(super) struct Timeline {
    pub device: u32,
    /// In order, not overlapping; a gap between two is idle time.
    pub segments: Vec<Segment>,
    /// By GPU row; zero for rows of other devices.
    pub overlap: Vec<Overlap>,
}

impl Timeline {
    /// Sweeps the device with the most kernel time.
    pub fn new(loaded: &Loaded) -> Self {
        let device = busiest_device(loaded);
        let mut sweep = Sweep {
            loaded,
            active: Vec::new(),
            now: i64::MIN,
            segments: Vec::new(),
            overlap: vec![Overlap::default(); loaded.trace.gpu.len()],
        };
        for (start, row) in effective_starts(loaded, device) {
            sweep.begin(start, row);
        }
        sweep.advance(i64::MAX);
        Self {
            device,
            segments: sweep.segments,
            overlap: sweep.overlap,
        }
    }
}

/// The device with the most kernel time.
fn busiest_device(loaded: &Loaded) -> u32 {
    let gpu = &loaded.trace.gpu;
    let mut busy: HashMap<u32, i64> = HashMap::new();
    for row in 0..gpu.len() {
        *busy.entry(gpu.device[row]).or_default() += gpu.dur_ns[row];
    }
    busy.into_iter()
        .max_by_key(|&(device, ns)| (ns, std::cmp::Reverse(device)))
        .map_or(0, |(device, _)| device)
}

/// Rows of a device in order of the time from which they have the stream alone.
fn effective_starts(loaded: &Loaded, device: u32) -> Vec<(i64, usize)> {
    let gpu = &loaded.trace.gpu;
    let mut stream_end: HashMap<u32, i64> = HashMap::new();
    let mut starts = Vec::with_capacity(gpu.len());
    for row in (0..gpu.len()).filter(|&row| gpu.device[row] == device) {
        let end = gpu.end_ns(row);
        let stream = match stream_end.contains_key(&gpu.stream[row]) {
            false if stream_end.len() >= MOST_STREAMS => u32::MAX,
            _ => gpu.stream[row],
        };
        let before = stream_end.entry(stream).or_insert(i64::MIN);
        let start = gpu.start_ns[row].max(*before).min(end);
        *before = end.max(*before);
        starts.push((start, row));
    }
    starts.sort_by_key(|&(start, _)| start);
    starts
}

struct Sweep<'l> {
    loaded: &'l Loaded,
    /// Running rows with their ends.
    active: Vec<(i64, usize)>,
    now: i64,
    segments: Vec<Segment>,
    overlap: Vec<Overlap>,
}

impl Sweep<'_> {
    fn begin(&mut self, start: i64, row: usize) {
        self.advance(start);
        let end = self.loaded.trace.gpu.end_ns(row);
        if end > start {
            self.active.push((end, row));
        }
    }

    /// Accounts for everything up to an instant.
    fn advance(&mut self, to: i64) {
        while let Some(next) = self.active.iter().map(|&(end, _)| end).min() {
            let until = next.min(to);
            self.account(until);
            self.now = until;
            let ended = self.active.iter().position(|&(end, _)| end <= until);
            if let Some(at) = ended {
                self.active.swap_remove(at);
            } else {
                return;
            }
        }
        self.now = to;
    }

    fn account(&mut self, until: i64) {
        let length = until - self.now;
        if length <= 0 {
            return;
        }
        let computing = self
            .active
            .iter()
            .filter(|&&(_, row)| self.category(row).is_compute())
            .count();
        let mut kinds = Kinds::default();
        for &(_, row) in &self.active {
            let category = self.category(row);
            match self.loaded.trace.gpu.kind[row] {
                GpuKind::Kernel if category == KernelCategory::Communication => {
                    kinds.communication = true;
                }
                GpuKind::Kernel => kinds.kernel = true,
                GpuKind::Memcpy | GpuKind::Memset => kinds.copy = true,
            }
            let others_compute = computing > usize::from(category.is_compute());
            let overlap = &mut self.overlap[row];
            overlap.effective_ns += length;
            overlap.even_ns += length as f64 / self.active.len() as f64;
            if self.active.len() == 1 {
                overlap.exposed_ns += length;
            } else {
                overlap.hidden_ns += length;
                if others_compute {
                    overlap.hidden_by_compute_ns += length;
                }
            }
        }
        self.extend(until, kinds);
    }

    fn extend(&mut self, until: i64, kinds: Kinds) {
        let first = self.active.first().map_or(0, |&(_, row)| row as u32);
        let closing = self
            .active
            .iter()
            .min_by_key(|&&(end, _)| end)
            .map_or(first, |&(_, row)| row as u32);
        match self.segments.last_mut() {
            Some(last) if last.end_ns == self.now && last.kinds == kinds => {
                last.end_ns = until;
                last.closed_by = closing;
            }
            _ => self.segments.push(Segment {
                start_ns: self.now,
                end_ns: until,
                kinds,
                opened_by: first,
                closed_by: closing,
            }),
        }
    }

    fn category(&self, row: usize) -> KernelCategory {
        self.loaded.category(row)
    }
}
