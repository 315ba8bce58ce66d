//! Which runs are not worth their time.

use std::time::Instant;

use super::Runner;
use crate::bench::candidate::BASELINE;
use crate::bench::failure::RunFailure;
use crate::bench::row::{Row, RowStatus};
use crate::bench::row_writer::Cell;
use crate::bench::session::{Phase, Session};

impl Runner {
    pub(super) fn is_done(&self, cell: &Cell) -> bool {
        self.rows
            .iter()
            .any(|row| row.key == cell.key && row.is_ok())
    }

    /// Out of time, known not to run, or clearly not the winner.
    pub(super) fn reason_not_to_run(&self, session: &Session, cell: &Cell) -> Option<RunFailure> {
        if let Some(failure) = self.unusable.get(&session.candidate) {
            return Some(failure.clone());
        }
        let skipped = |reason: String| Some(RunFailure::of(RowStatus::Skipped, reason));
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return skipped(format!(
                "max_wall_s of {} s is used up",
                self.plan().search.max_wall_s.unwrap_or_default()
            ));
        }
        match session.phase {
            Phase::Search if cell.candidate.id != BASELINE => self
                .clearly_out(&cell.candidate.framework)
                .and_then(skipped),
            Phase::Measure if session.repeat > 1 => {
                self.failed_before(session, cell).and_then(skipped)
            }
            _ => None,
        }
    }

    /// An earlier repeat showed that the candidate cannot run.
    fn failed_before(&self, session: &Session, cell: &Cell) -> Option<String> {
        let earlier = self.rows.iter().find(|row| {
            row.candidate_id == cell.candidate.id
                && row.framework == cell.candidate.framework
                && row.workload.scenario == cell.scenario.name
                && row.workload.request_rate == cell.load.request_rate
                && row.workload.max_concurrency == cell.load.max_concurrency
                && row.phase == Phase::Measure
                && row.repeat < session.repeat
                && matches!(
                    row.status,
                    RowStatus::Failed | RowStatus::Oom | RowStatus::Timeout
                )
        })?;
        Some(format!(
            "repeat {} ended {}",
            earlier.repeat, earlier.status
        ))
    }

    /// Another framework is so far ahead in every scenario and load that a
    /// knob will not make up for it.
    fn clearly_out(&self, framework: &str) -> Option<String> {
        let most = self.plan().search.stop_behind_pct?;
        let mut worst = f64::INFINITY;
        for (scenario, _, load) in &self.lineup.cells {
            let of = |row: &&Row| {
                row.phase == Phase::Search
                    && row.workload.scenario == scenario.name
                    && row.workload.request_rate == load.request_rate
                    && row.workload.max_concurrency == load.max_concurrency
            };
            let best = |own: bool| {
                self.rows
                    .iter()
                    .filter(of)
                    .filter(|row| row.is_ok() && (row.framework == framework) == own)
                    .filter_map(|row| row.metrics.as_ref()?.request_throughput)
                    .reduce(f64::max)
            };
            let (own, other) = (best(true)?, best(false)?);
            worst = worst.min((1.0 - own / other) * 100.0);
        }
        (worst.is_finite() && worst > most).then(|| {
            format!(
                "{framework} is at least {worst:.0}% behind another framework everywhere; \
                 search.stop_behind_pct is {most}"
            )
        })
    }
}
