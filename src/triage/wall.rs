//! Where a step's wall time went, and why the GPU stood idle in it.

use std::collections::BTreeMap;

use super::loaded::Loaded;
use super::record::{Bubble, BubbleCause, Holder};
use super::site::{Resolver, Sites};
use super::timeline::{Segment, Timeline};
use super::units::microseconds;
use crate::trace::{LaunchIndex, Stage, StepIndex};

/// Idle time below this, with the next launch already queued, is what a
/// stream needs between two kernels.
const QUEUED_GAP_NS: i64 = 10_000;

/// The time that a step is charged with on the GPU's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepWindow {
    pub step: StepIndex,
    pub start_ns: i64,
    pub end_ns: i64,
}

/// Nanoseconds of a stage's windows by what the GPU did in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    pub wall_ns: i64,
    pub busy_ns: i64,
    /// Only communication was running.
    pub exposed_communication_ns: i64,
    /// Only copies were running.
    pub exposed_copy_ns: i64,
}

impl Accounts {
    pub fn idle_ns(&self) -> i64 {
        self.wall_ns - self.busy_ns
    }

    fn add(&mut self, other: &Accounts) {
        self.wall_ns += other.wall_ns;
        self.busy_ns += other.busy_ns;
        self.exposed_communication_ns += other.exposed_communication_ns;
        self.exposed_copy_ns += other.exposed_copy_ns;
    }
}

/// The windows of all steps with GPU work, in order, not overlapping.
///
/// A window ends with its step's last work. It begins where the window before
/// it ended when the step decodes: its requests were known then, so the time
/// between is the engine's. A prefill may have waited for a request to
/// arrive, so its window begins with its own first work.
pub(super) fn windows(loaded: &Loaded, device: u32) -> Vec<StepWindow> {
    let gpu = &loaded.trace.gpu;
    let mut spans: Vec<(i64, i64, StepIndex, Stage)> = Vec::new();
    for (position, step) in loaded.steps.steps.iter().enumerate() {
        let rows = step.gpu.iter().map(|&row| row as usize);
        let rows = rows.filter(|&row| gpu.device[row] == device);
        let span = rows.fold(None, |span: Option<(i64, i64)>, row| {
            let (start, end) = span.unwrap_or((i64::MAX, i64::MIN));
            Some((start.min(gpu.start_ns[row]), end.max(gpu.end_ns(row))))
        });
        if let (Some((start, end)), Some(index)) = (span, StepIndex::new(position)) {
            spans.push((start, end, index, step.stage));
        }
    }
    spans.sort_by_key(|&(start, ..)| start);
    let mut before: Option<i64> = None;
    let mut windows = Vec::with_capacity(spans.len());
    for (start, end, step, stage) in spans {
        let follows = matches!(stage, Stage::Decode | Stage::Mixed);
        let start_ns = match before {
            Some(before) if follows => before,
            Some(before) => start.max(before),
            None => start,
        };
        let end_ns = end.max(start_ns);
        before = Some(end_ns);
        windows.push(StepWindow {
            step,
            start_ns,
            end_ns,
        });
    }
    windows
}

/// Accounts and bubbles of each stage.
pub(super) struct WallByStage {
    pub accounts: BTreeMap<Stage, Accounts>,
    pub by_step: Vec<(StepWindow, Accounts)>,
    pub bubbles: BTreeMap<Stage, Vec<Bubble>>,
}

/// Walks the windows and the busy stretches side by side.
pub(super) fn account(
    loaded: &Loaded,
    timeline: &Timeline,
    windows: &[StepWindow],
    sites: &mut Sites,
) -> WallByStage {
    let mut judge = Judge {
        loaded,
        resolver: Resolver::new(&loaded.trace),
        sites,
        tallies: BTreeMap::new(),
    };
    let mut out = WallByStage {
        accounts: BTreeMap::new(),
        by_step: Vec::with_capacity(windows.len()),
        bubbles: BTreeMap::new(),
    };
    for window in windows {
        let Some(step) = loaded.steps.get(window.step) else {
            continue;
        };
        let accounts = account_window(window, &timeline.segments, step.stage, &mut judge);
        out.accounts.entry(step.stage).or_default().add(&accounts);
        out.by_step.push((*window, accounts));
    }
    out.bubbles = judge.bubbles();
    out
}

fn account_window(
    window: &StepWindow,
    segments: &[Segment],
    stage: Stage,
    judge: &mut Judge<'_>,
) -> Accounts {
    let mut accounts = Accounts {
        wall_ns: window.end_ns - window.start_ns,
        ..Accounts::default()
    };
    let first = segments.partition_point(|segment| segment.end_ns <= window.start_ns);
    let mut idle_from = window.start_ns;
    for (at, segment) in segments.iter().enumerate().skip(first) {
        if segment.start_ns >= window.end_ns {
            break;
        }
        let start = segment.start_ns.max(window.start_ns);
        let length = segment.end_ns.min(window.end_ns) - start;
        accounts.busy_ns += length;
        let kinds = segment.kinds;
        if !kinds.kernel && kinds.communication {
            accounts.exposed_communication_ns += length;
        } else if !kinds.kernel && kinds.copy {
            accounts.exposed_copy_ns += length;
        }
        if start > idle_from {
            let before = at.checked_sub(1).and_then(|before| segments.get(before));
            judge.judge(stage, idle_from, start, before, segment);
        }
        idle_from = segment.end_ns;
    }
    accounts
}

/// Decides why the GPU stood idle.
struct Judge<'l> {
    loaded: &'l Loaded,
    resolver: Resolver<'l>,
    sites: &'l mut Sites,
    tallies: BTreeMap<(Stage, BubbleCause), Tally>,
}

#[derive(Default)]
struct Tally {
    ns: i64,
    count: u32,
    holders: BTreeMap<(Option<String>, Option<String>), (i64, u32)>,
}

impl Judge<'_> {
    fn judge(
        &mut self,
        stage: Stage,
        from: i64,
        to: i64,
        before: Option<&Segment>,
        after: &Segment,
    ) {
        let launch = self.loaded.trace.gpu.launch[after.opened_by as usize];
        let (cause, held_at) = match launch {
            None => (BubbleCause::Unknown, None),
            Some(launch) => self.cause(launch, from, to, before, after),
        };
        let holder = match (launch, held_at) {
            (Some(launch), Some(at)) => self.holder(launch, at),
            _ => (None, None),
        };
        let tally = self.tallies.entry((stage, cause)).or_default();
        tally.ns += to - from;
        tally.count += 1;
        if holder != (None, None) {
            let held = tally.holders.entry(holder).or_default();
            held.0 += to - from;
            held.1 += 1;
        }
    }

    /// The cause of a gap, and when to look at the CPU for who is to blame.
    fn cause(
        &self,
        launch: LaunchIndex,
        from: i64,
        to: i64,
        before: Option<&Segment>,
        after: &Segment,
    ) -> (BubbleCause, Option<i64>) {
        let gpu = &self.loaded.trace.gpu;
        let launches = &self.loaded.trace.launches;
        let previous = before.map(|segment| segment.closed_by as usize);
        if previous.is_some_and(|row| gpu.launch[row] == Some(launch)) {
            return (BubbleCause::Pipelined, None);
        }
        let row = launch.row();
        let (called, returned) = (launches.start_ns[row], launches.end_ns(row));
        if called <= from {
            return if returned > from && to - from >= QUEUED_GAP_NS {
                (BubbleCause::LaunchBound, Some(from.midpoint(to)))
            } else if to - from < QUEUED_GAP_NS {
                (BubbleCause::Pipelined, None)
            } else {
                (BubbleCause::StreamWait, None)
            };
        }
        let blocked = self.blocked(launch, from, called);
        let steps = &self.loaded.steps.of_gpu;
        let boundary = previous.is_none_or(|row| steps[row] != steps[after.opened_by as usize]);
        let at = Some(from.midpoint(to));
        match boundary {
            _ if blocked * 2 >= called - from => (BubbleCause::HostSync, at),
            true => (BubbleCause::SchedulerGap, at),
            false => (BubbleCause::LaunchBound, at),
        }
    }

    /// How long the launching thread sat in a blocking call between two instants.
    fn blocked(&self, launch: LaunchIndex, from: i64, to: i64) -> i64 {
        let launches = &self.loaded.trace.launches;
        let rows = launches.on_thread(launches.thread[launch.row()]);
        let end = rows.start + launches.start_ns[rows.clone()].partition_point(|&at| at < to);
        (rows.start..end)
            .rev()
            .take_while(|&row| launches.end_ns(row) > from)
            .filter(|&row| self.blocks(row))
            .map(|row| launches.end_ns(row).min(to) - launches.start_ns[row].max(from))
            .sum()
    }

    fn blocks(&self, launch_row: usize) -> bool {
        let launches = &self.loaded.trace.launches;
        let name = self.loaded.trace.text(launches.name[launch_row]);
        name.contains("Synchronize")
            || matches!(
                name,
                "cudaMemcpy"
                    | "cudaMalloc"
                    | "cudaFree"
                    | "cudaHostAlloc"
                    | "cudaFreeHost"
                    | "cudaHostRegister"
                    | "hipMalloc"
                    | "hipFree"
                    | "hipMemcpy"
            )
    }

    /// The operator and the Python line that a launching thread was in.
    fn holder(&mut self, launch: LaunchIndex, at: i64) -> (Option<String>, Option<String>) {
        let launches = &self.loaded.trace.launches;
        let thread = launches.thread[launch.row()];
        let op = self.loaded.trace.ops.innermost_at(thread, at);
        let call = launches
            .innermost_at(thread, at)
            .map(|span| launches.name[span.row()]);
        let name = op
            .map(|op| self.loaded.trace.ops.name[op.row()])
            .or(call)
            .map(|name| self.loaded.trace.text(name).to_owned());
        let line = self
            .resolver
            .at(thread, at, self.sites)
            .and_then(|site| self.sites.get(site))
            .map(|site| site.line.to_string());
        (name, line)
    }

    fn bubbles(self) -> BTreeMap<Stage, Vec<Bubble>> {
        let mut bubbles: BTreeMap<Stage, Vec<Bubble>> = BTreeMap::new();
        for ((stage, cause), tally) in self.tallies {
            let mut held: Vec<_> = tally.holders.into_iter().collect();
            held.sort_by_key(|&(_, (ns, _))| std::cmp::Reverse(ns));
            let held_by = held
                .into_iter()
                .take(3)
                .map(|((operator, location), (ns, count))| Holder {
                    operator,
                    location,
                    us: microseconds(ns),
                    count,
                })
                .collect();
            bubbles.entry(stage).or_default().push(Bubble {
                cause,
                us: microseconds(tally.ns),
                count: tally.count,
                held_by,
            });
        }
        for list in bubbles.values_mut() {
            list.sort_by(|a, b| b.us.total_cmp(&a.us));
        }
        bubbles
    }
}
