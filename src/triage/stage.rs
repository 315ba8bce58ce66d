//! From one trace to its stages.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::attribute::Attribution;
use super::fusion::{Sequences, fusion_table};
use super::kernel::Kernels;
use super::loaded::{FULL_REPLAY_KERNELS, Loaded};
use super::record::{Bubble, BubbleCause, ShapeRecord, StageRecord};
use super::site::Sites;
use super::tables::{Neighbours, StageRows};
use super::timeline::Timeline;
use super::units::{microseconds, percent, rounded};
use super::wall::{Accounts, StepWindow, WallByStage, account, windows};
use crate::trace::{Stage, Step, StepShape};

/// A stage whose GPU waits for launches in this part of its wall is bound by them.
const LAUNCH_BOUND_PART: f64 = 0.25;
/// Work outside every step is shown as a stage of its own from this share, percent.
const LEAST_UNKNOWN_PCT: f64 = 1.0;

/// A trace with its accounts.
pub(super) struct Accounted {
    pub loaded: Loaded,
    pub timeline: Timeline,
    pub wall: WallByStage,
}

impl Accounted {
    pub fn new(loaded: Loaded, sites: &mut Sites) -> Self {
        let timeline = Timeline::new(&loaded);
        let windows = windows(&loaded, timeline.device);
        let wall = account(&loaded, &timeline, &windows, sites);
        Self {
            loaded,
            timeline,
            wall,
        }
    }

    /// The stages with steps.
    pub fn stages(&self) -> BTreeSet<Stage> {
        self.wall.accounts.keys().copied().collect()
    }

    pub fn steps_of(&self, stage: Stage) -> Vec<&Step> {
        self.wall
            .by_step
            .iter()
            .filter_map(|(window, _)| self.loaded.steps.get(window.step))
            .filter(|step| step.stage == stage)
            .collect()
    }

    fn is_on_device(&self, row: usize) -> bool {
        self.loaded.trace.gpu.device[row] == self.timeline.device
    }
}

/// What the tables of a stage are built with.
pub(super) struct Context<'c> {
    pub kernels: &'c Kernels,
    pub sites: &'c Sites,
    pub attributions: &'c [Option<Attribution>],
    pub min_share_pct: f64,
}

/// The record of one stage of a trace.
pub(super) fn stage_record(
    accounted: &Accounted,
    stage: Stage,
    context: &Context<'_>,
) -> StageRecord {
    let loaded = &accounted.loaded;
    let steps = accounted.steps_of(stage);
    let mut rows: Vec<usize> = steps
        .iter()
        .flat_map(|step| loaded.steps.kernels(&loaded.trace, step))
        .filter(|&row| accounted.is_on_device(row))
        .collect();
    rows.sort_unstable();
    let accounts = accounted
        .wall
        .accounts
        .get(&stage)
        .copied()
        .unwrap_or_default();
    let bubbles = accounted
        .wall
        .bubbles
        .get(&stage)
        .cloned()
        .unwrap_or_default();
    let count = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let sequences = Sequences::new(loaded, context.kernels, &steps);
    let stage_rows = StageRows::new(loaded, context.kernels, rows);
    StageRecord {
        stage,
        steps: count,
        launch_bound: is_launch_bound(&bubbles, &accounts),
        bubbles,
        shapes: shapes(accounted, stage),
        kernels: stage_rows.kernel_table(
            context.attributions,
            context.sites,
            context.min_share_pct,
        ),
        overlap: stage_rows.overlap_table(
            &accounted.timeline,
            &Neighbours::new(loaded),
            accounts.busy_ns,
            context.min_share_pct,
        ),
        fusion: fusion_table(
            loaded,
            context.kernels,
            &sequences,
            count,
            stage_rows.total_ns,
        ),
        kernel_time_us: microseconds(stage_rows.total_ns),
        ..empty(stage, &accounts)
    }
}

/// The record of work that belongs to no step; `None` where it is little.
pub(super) fn stray_record(
    accounted: &Accounted,
    context: &Context<'_>,
) -> (Option<StageRecord>, f64) {
    let loaded = &accounted.loaded;
    let gpu = &loaded.trace.gpu;
    let kernels = |row: &usize| loaded.is_kernel(*row) && accounted.is_on_device(*row);
    let all: i64 = (0..gpu.len())
        .filter(kernels)
        .map(|row| gpu.dur_ns[row])
        .sum();
    let rows: Vec<usize> = (0..gpu.len())
        .filter(kernels)
        .filter(|&row| loaded.steps.of_gpu[row].is_none())
        .collect();
    let stage_rows = StageRows::new(loaded, context.kernels, rows);
    let share = percent(stage_rows.total_ns as f64, all as f64);
    if share < LEAST_UNKNOWN_PCT {
        return (None, share);
    }
    // Without steps there is no wall to speak of: only the work counts.
    let busy: f64 = stage_rows
        .rows
        .iter()
        .map(|&row| accounted.timeline.overlap[row].even_ns)
        .sum();
    let accounts = Accounts {
        wall_ns: busy.round() as i64,
        busy_ns: busy.round() as i64,
        ..Accounts::default()
    };
    let record = StageRecord {
        kernels: stage_rows.kernel_table(
            context.attributions,
            context.sites,
            context.min_share_pct,
        ),
        kernel_time_us: microseconds(stage_rows.total_ns),
        ..empty(Stage::Unknown, &accounts)
    };
    (Some(record), share)
}

fn empty(stage: Stage, accounts: &Accounts) -> StageRecord {
    StageRecord {
        stage,
        steps: 0,
        wall_us: microseconds(accounts.wall_ns),
        busy_us: microseconds(accounts.busy_ns),
        idle_us: microseconds(accounts.idle_ns()),
        exposed_communication_us: microseconds(accounts.exposed_communication_ns),
        memcpy_us: microseconds(accounts.exposed_copy_ns),
        kernel_time_us: 0.0,
        launch_bound: false,
        bubbles: Vec::new(),
        shapes: Vec::new(),
        kernels: Vec::new(),
        overlap: Vec::new(),
        fusion: Vec::new(),
    }
}

fn is_launch_bound(bubbles: &[Bubble], accounts: &Accounts) -> bool {
    let waiting = bubbles
        .iter()
        .find(|bubble| bubble.cause == BubbleCause::LaunchBound)
        .map_or(0.0, |bubble| bubble.us);
    waiting > LAUNCH_BOUND_PART * microseconds(accounts.wall_ns)
}

/// Steps of a stage grouped by requests and tokens.
fn shapes(accounted: &Accounted, stage: Stage) -> Vec<ShapeRecord> {
    let loaded = &accounted.loaded;
    let mut groups: BTreeMap<StepShape, Vec<(&StepWindow, &Accounts, &Step)>> = BTreeMap::new();
    for (window, accounts) in &accounted.wall.by_step {
        if let Some(step) = loaded
            .steps
            .get(window.step)
            .filter(|step| step.stage == stage)
        {
            groups
                .entry(step.shape)
                .or_default()
                .push((window, accounts, step));
        }
    }
    groups
        .into_iter()
        .map(|(shape, group)| {
            let mean = |time: fn(&Accounts) -> i64| {
                let sum: i64 = group.iter().map(|(_, accounts, _)| time(accounts)).sum();
                rounded(microseconds(sum) / group.len() as f64, 3)
            };
            let replays: Vec<(u32, u32)> = group
                .iter()
                .map(|(.., step)| replays(loaded, step))
                .collect();
            ShapeRecord {
                batch: shape.batch,
                tokens: shape.tokens,
                steps: u32::try_from(group.len()).unwrap_or(u32::MAX),
                wall_us: mean(|accounts| accounts.wall_ns),
                busy_us: mean(|accounts| accounts.busy_ns),
                kernels: middle(group.iter().map(|(.., step)| {
                    u32::try_from(loaded.steps.kernels(&loaded.trace, step).count())
                        .unwrap_or(u32::MAX)
                })),
                graph_replays: middle(replays.iter().map(|&(count, _)| count)),
                replay_kernels: middle(replays.iter().map(|&(_, largest)| largest)),
            }
        })
        .collect()
}

/// Graph replays of a step, and the kernels of the largest.
fn replays(loaded: &Loaded, step: &Step) -> (u32, u32) {
    let launches: HashSet<_> = step
        .gpu
        .iter()
        .filter_map(|&row| loaded.trace.gpu.launch[row as usize])
        .filter(|launch| loaded.replays.contains_key(launch))
        .collect();
    let largest = launches
        .iter()
        .filter_map(|launch| loaded.replays.get(launch))
        .map(|rows| {
            rows.iter()
                .filter(|&&row| loaded.is_kernel(row as usize))
                .count()
        })
        .max()
        .unwrap_or(0);
    (
        u32::try_from(launches.len()).unwrap_or(u32::MAX),
        u32::try_from(largest).unwrap_or(u32::MAX),
    )
}

fn middle(values: impl Iterator<Item = u32>) -> u32 {
    let mut values: Vec<u32> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Whether most kernels of a trace ran in whole-pass replays.
pub(super) fn is_mostly_replayed(loaded: &Loaded) -> bool {
    let replayed: usize = loaded
        .replays
        .values()
        .filter(|rows| rows.len() >= FULL_REPLAY_KERNELS)
        .map(Vec::len)
        .sum();
    replayed * 2 > loaded.trace.gpu.len()
}
