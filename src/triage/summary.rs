//! A record short enough to be read in one go.

use super::record::{Advice, FusionStatus, KernelRow, StageRecord, TriageRecord};
use super::units::rounded;
use crate::trace::KernelCategory;

/// Rows kept of a stage's tables.
struct Limits {
    kernels: usize,
    overlap: usize,
    fusion: usize,
    shapes: usize,
    bubbles: usize,
}

/// For a stage with a good part of all kernel time.
const MAIN: Limits = Limits {
    kernels: 6,
    overlap: 2,
    fusion: 2,
    shapes: 3,
    bubbles: 3,
};
/// For a stage with little of it.
const MINOR: Limits = Limits {
    kernels: 3,
    overlap: 1,
    fusion: 1,
    shapes: 2,
    bubbles: 2,
};
/// Part of all kernel time from which a stage is shown at length.
const MAIN_PART: f64 = 0.3;
const MOST_CLASSES: usize = 5;
const MOST_COLLECTIVES: usize = 3;
/// Characters of a kernel name; templates go on for more than a thousand.
const MOST_NAME: usize = 80;

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
        let before = count_rows(&self);
        let whole: f64 = self.stages.iter().map(|stage| stage.kernel_time_us).sum();
        for stage in &mut self.stages {
            let is_main = stage.kernel_time_us >= MAIN_PART * whole;
            summarize_stage(stage, if is_main { &MAIN } else { &MINOR });
        }
        for comparison in &mut self.comparison {
            comparison.classes.truncate(MOST_CLASSES);
            for class in &mut comparison.classes {
                class.input_kernels.clear();
                class.compare_kernels.clear();
            }
        }
        if let Some(ranks) = &mut self.ranks {
            ranks.collectives.truncate(MOST_COLLECTIVES);
        }
        self.truncated = count_rows(&self) < before;
        self
    }
}

fn summarize_stage(stage: &mut StageRecord, limits: &Limits) {
    fold_rest(stage, limits.kernels);
    for kernel in &mut stage.kernels {
        shorten(&mut kernel.name);
        kernel.locations.truncate(1);
        for place in &mut kernel.locations {
            place.model = None;
        }
    }
    stage
        .overlap
        .retain(|row| row.advice != Advice::FasterKernel);
    stage.overlap.truncate(limits.overlap);
    for row in &mut stage.overlap {
        shorten(&mut row.name);
    }
    stage
        .fusion
        .retain(|row| row.status != FusionStatus::Active);
    stage.fusion.truncate(limits.fusion);
    for row in &mut stage.fusion {
        row.fuses.clear();
        row.evidence.clear();
        row.requires = None;
    }
    stage
        .shapes
        .sort_by_key(|shape| std::cmp::Reverse(shape.steps));
    stage.shapes.truncate(limits.shapes);
    stage.bubbles.truncate(limits.bubbles);
    for bubble in &mut stage.bubbles {
        bubble.held_by.truncate(1);
    }
}

/// Sums up the rows past the first few, so that shares still add up.
fn fold_rest(stage: &mut StageRecord, most: usize) {
    if stage.kernels.len() <= most + 1 {
        return;
    }
    let rest = stage.kernels.split_off(most);
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
