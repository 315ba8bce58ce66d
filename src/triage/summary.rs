//! A record short enough to be read in one go.

use super::record::{Advice, FusionStatus, KernelRow, StageRecord, TriageRecord};
use super::units::rounded;
use crate::trace::KernelCategory;

/// Bytes of a record that is read in one go, about 2,000 tokens, less what a
/// capture says of its job.
const MOST_BYTES: usize = 5_400;

/// What is kept of a record, and of the tables of each stage.
#[derive(Clone, Copy)]
struct Limits {
    kernels: usize,
    overlap: usize,
    fusion: usize,
    shapes: usize,
    bubbles: usize,
    held_by: usize,
    /// Classes of a comparison.
    classes: usize,
    files: usize,
    /// Characters of a kernel name; templates go on for more than a thousand.
    name: usize,
}

/// From ample to scant; the first that fits is taken.
const LADDER: [Limits; 5] = [
    Limits {
        kernels: 6,
        overlap: 2,
        fusion: 2,
        shapes: 3,
        bubbles: 3,
        held_by: 1,
        classes: 5,
        files: 6,
        name: 80,
    },
    Limits {
        kernels: 5,
        overlap: 1,
        fusion: 2,
        shapes: 2,
        bubbles: 3,
        held_by: 1,
        classes: 4,
        files: 2,
        name: 64,
    },
    Limits {
        kernels: 4,
        overlap: 1,
        fusion: 1,
        shapes: 1,
        bubbles: 2,
        held_by: 1,
        classes: 4,
        files: 2,
        name: 48,
    },
    Limits {
        kernels: 3,
        overlap: 1,
        fusion: 1,
        shapes: 1,
        bubbles: 2,
        held_by: 0,
        classes: 3,
        files: 1,
        name: 40,
    },
    Limits {
        kernels: 2,
        overlap: 0,
        fusion: 1,
        shapes: 1,
        bubbles: 1,
        held_by: 0,
        classes: 3,
        files: 1,
        name: 40,
    },
];
/// Part of all kernel time below which a stage is shown one step more briefly.
const MAIN_PART: f64 = 0.3;
const MOST_COLLECTIVES: usize = 3;

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
    pub fn summary(self) -> Self {
        let before = count_rows(&self);
        let mut short = self.clone();
        for (at, main) in LADDER.iter().enumerate() {
            let minor = LADDER.get(at + 1).unwrap_or(main);
            short = self.clone().cut(main, minor);
            short.truncated = count_rows(&short) < before;
            if serde_json::to_vec(&short).is_ok_and(|bytes| bytes.len() <= MOST_BYTES) {
                break;
            }
        }
        short
    }

    fn cut(mut self, main: &Limits, minor: &Limits) -> Self {
        let whole: f64 = self.stages.iter().map(|stage| stage.kernel_time_us).sum();
        for stage in &mut self.stages {
            let is_main = stage.kernel_time_us >= MAIN_PART * whole;
            cut_stage(stage, if is_main { main } else { minor });
        }
        for comparison in &mut self.comparison {
            comparison.classes.truncate(main.classes);
            for class in &mut comparison.classes {
                class.input_kernels.clear();
                class.compare_kernels.clear();
            }
        }
        if let Some(ranks) = &mut self.ranks {
            ranks.collectives.truncate(MOST_COLLECTIVES);
        }
        self.files.truncate(main.files);
        self
    }
}

fn cut_stage(stage: &mut StageRecord, limits: &Limits) {
    fold_rest(stage, limits.kernels);
    for kernel in &mut stage.kernels {
        shorten(&mut kernel.name, limits.name);
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
        shorten(&mut row.name, limits.name);
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
        bubble.held_by.truncate(limits.held_by);
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
        remainder: true,
    });
}

fn shorten(name: &mut String, most: usize) {
    if let Some((end, _)) = name.char_indices().nth(most) {
        name.truncate(end);
        name.push('…');
    }
}
