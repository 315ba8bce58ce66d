//! A record short enough to be read in one go.

use super::record::{KernelRow, StageRecord, TriageRecord};
use super::units::rounded;
use crate::trace::KernelCategory;

const MOST_KERNELS: usize = 8;
const MOST_OVERLAP: usize = 4;
const MOST_FUSION: usize = 5;
const MOST_SHAPES: usize = 4;
const MOST_CLASSES: usize = 8;
const MOST_COLLECTIVES: usize = 4;
/// Characters of a kernel name; templates go on for more than a thousand.
const MOST_NAME: usize = 96;

/// The rows of all tables of a record.
pub(super) fn count_rows(record: &TriageRecord) -> u32 {
    let stages = record
        .stages
        .iter()
        .map(|stage| stage.kernels.len() + stage.overlap.len() + stage.fusion.len());
    let classes = record.comparison.iter().map(|side| side.classes.len());
    u32::try_from(stages.chain(classes).sum::<usize>()).unwrap_or(u32::MAX)
}

impl TriageRecord {
    /// The record with its tables cut to the rows that matter most; shares
    /// still add up, and `truncated` says that rows are missing.
    #[must_use]
    pub fn summary(mut self) -> Self {
        summarize(&mut self);
        self
    }
}

/// Cuts a record's tables, and says so.
fn summarize(record: &mut TriageRecord) {
    let before = count_rows(record);
    for stage in &mut record.stages {
        summarize_stage(stage);
    }
    for comparison in &mut record.comparison {
        comparison.classes.truncate(MOST_CLASSES);
        for class in &mut comparison.classes {
            class.input_kernels.truncate(1);
            class.compare_kernels.truncate(1);
        }
    }
    if let Some(ranks) = &mut record.ranks {
        ranks.collectives.truncate(MOST_COLLECTIVES);
    }
    record.truncated = count_rows(record) < before;
}

fn summarize_stage(stage: &mut StageRecord) {
    fold_rest(stage);
    stage.overlap.truncate(MOST_OVERLAP);
    stage.fusion.truncate(MOST_FUSION);
    stage
        .shapes
        .sort_by_key(|shape| std::cmp::Reverse(shape.steps));
    stage.shapes.truncate(MOST_SHAPES);
    for kernel in &mut stage.kernels {
        shorten(&mut kernel.name);
        kernel.locations.truncate(1);
    }
    for row in &mut stage.overlap {
        shorten(&mut row.name);
    }
    for row in &mut stage.fusion {
        row.evidence.truncate(2);
    }
    for bubble in &mut stage.bubbles {
        bubble.held_by.truncate(1);
    }
}

/// Sums up the rows past the first few, so that shares still add up.
fn fold_rest(stage: &mut StageRecord) {
    if stage.kernels.len() <= MOST_KERNELS + 1 {
        return;
    }
    let rest = stage.kernels.split_off(MOST_KERNELS);
    stage.kernels.push(KernelRow {
        name: format!("(the other {} rows of the full table)", rest.len()),
        category: KernelCategory::Other,
        gpu_time_us: rounded(rest.iter().map(|row| row.gpu_time_us).sum(), 3),
        share_pct: rounded(rest.iter().map(|row| row.share_pct).sum(), 4),
        launches: rest.iter().map(|row| row.launches).sum(),
        locations: Vec::new(),
        cpu_op: None,
    });
}

fn shorten(name: &mut String) {
    if let Some((end, _)) = name.char_indices().nth(MOST_NAME) {
        name.truncate(end);
        name.push('…');
    }
}
