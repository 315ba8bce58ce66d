//! What a job leaves for people, and its result.

use std::path::Path;

use super::Runner;
use crate::bench::fairness::{self, FairnessInputs};
use crate::bench::ranking::{Standing, standings};
use crate::bench::{BenchError, BenchResult, summary};
use crate::disk;

impl Runner {
    pub(super) fn write_summary(&self) -> Result<(), BenchError> {
        let dir: &Path = &self.payload.output_dir;
        let text = summary::summary(&self.rows, self.job.id(), &self.warnings, &self.max_loads);
        disk::write_atomic(&dir.join("summary.md"), text.as_bytes())?;
        let commands = summary::winning_commands(&self.rows);
        disk::write_atomic(&dir.join("winning-commands.md"), commands.as_bytes())?;
        let fairness = fairness::diagnostics(&FairnessInputs {
            plan: self.plan(),
            rows: &self.rows,
            installations: &self.writer.installations,
            gpus: &self.gpus,
            job_id: self.job.id(),
        });
        let places = [
            Some(dir.join("fairness/diagnostics.md")),
            self.payload
                .campaign
                .as_ref()
                .map(|root| root.join("analysis/fairness-diagnostics.md")),
        ];
        for path in places.into_iter().flatten() {
            disk::write_atomic(&path, fairness.as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<BenchResult, BenchError> {
        let winners: Vec<Standing> = standings(&self.rows)
            .into_iter()
            .filter_map(|cell| cell.into_iter().find(|standing| standing.ok > 0))
            .collect();
        Ok(BenchResult {
            winners,
            max_load: self.max_loads,
            launches: self.launches,
            rows: Some(self.written.written()),
            wall_s: self.started.elapsed().as_secs_f64(),
            warnings: self.warnings,
        })
    }
}
