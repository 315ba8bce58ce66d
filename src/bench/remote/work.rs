//! What a benchmark does on its host, and what becomes of its copied files.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::gathered::Gathered;
use super::tasks::{DATASET, tasks};
use crate::bench::lineup::Lineup;
use crate::bench::plan::{DatasetKind, Executor};
use crate::bench::ranking::standings;
use crate::bench::request::BenchPayload;
use crate::bench::{BenchError, BenchResult, session, summary};
use crate::disk;
use crate::fault::Fault;
use crate::job::{JobHandle, JobSpec, Outcome};
use crate::remote::{self, Copied, TaskSpec, Work};

/// Follows a benchmark whose plan names another host to its end there.
pub async fn conduct(
    spec: JobSpec,
    payload: BenchPayload,
    executor: Executor,
    job: JobHandle,
) -> Outcome {
    let placement = payload.plan.placement(&executor);
    match Benchmark::new(payload, executor, &job) {
        Ok(work) => remote::conduct(spec, placement, Box::new(work), job).await,
        Err(error) => Outcome::Failed(error.into()),
    }
}

struct Benchmark {
    payload: BenchPayload,
    executor: Executor,
    gathered: Gathered,
    started: Instant,
}

impl Benchmark {
    fn new(payload: BenchPayload, executor: Executor, job: &JobHandle) -> Result<Self, BenchError> {
        Ok(Self {
            gathered: Gathered::open(&payload.rows_path(), job.id())?,
            payload,
            executor,
            started: Instant::now(),
        })
    }

    /// The results of the tasks that are done, as one.
    fn merged(&self, copied: &Copied<'_>) -> BenchResult {
        let results = copied
            .tasks
            .iter()
            .filter_map(|task| copied.result::<BenchResult>(task).ok());
        let mut whole = BenchResult {
            winners: standings(&self.gathered.rows)
                .into_iter()
                .filter_map(|cell| cell.into_iter().find(|standing| standing.ok > 0))
                .collect(),
            max_load: Vec::new(),
            launches: 0,
            rows: Some(self.gathered.written()),
            wall_s: self.started.elapsed().as_secs_f64(),
            warnings: Vec::new(),
        };
        for result in results {
            whole.launches += result.launches;
            whole.max_load.extend(result.max_load);
            for warning in result.warnings {
                if !whole.warnings.contains(&warning) {
                    whole.warnings.push(warning);
                }
            }
        }
        whole
    }

    /// Helps and versions of the servers belong beside the rows.
    fn copy_help(&self, copied: &Copied<'_>) -> Result<(), Fault> {
        for task in copied.tasks {
            let from = copied.task(task).join("out/help");
            for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
                let to = self.payload.help_dir().join(entry.file_name());
                disk::write_atomic(&to, &disk::read(&entry.path())?)?;
            }
        }
        Ok(())
    }

    /// What the last task, which has all rows, says of fairness.
    fn copy_fairness(&self, copied: &Copied<'_>) -> Result<(), Fault> {
        let Some(last) = copied.tasks.last() else {
            return Ok(());
        };
        let from = copied.task(last).join("out/fairness/diagnostics.md");
        // A task that did not get that far has none.
        let Ok(text) = disk::read(&from) else {
            return Ok(());
        };
        let campaign = self.payload.campaign.as_ref();
        let places = [
            Some(self.payload.output_dir.join("fairness/diagnostics.md")),
            campaign.map(|root| root.join("analysis/fairness-diagnostics.md")),
        ];
        for path in places.into_iter().flatten() {
            disk::write_atomic(&path, &text)?;
        }
        Ok(())
    }

    fn write_summary(&self, result: &BenchResult, job_id: &str) -> Result<(), Fault> {
        let dir = &self.payload.output_dir;
        let rows = &self.gathered.rows;
        let text = summary::summary(rows, job_id, &result.warnings, &result.max_load);
        disk::write_atomic(&dir.join("summary.md"), text.as_bytes())?;
        let commands = summary::winning_commands(rows);
        disk::write_atomic(&dir.join("winning-commands.md"), commands.as_bytes())?;
        Ok(())
    }
}

impl Work for Benchmark {
    fn tasks(&self, spec: &JobSpec, host_dir: &Path) -> Vec<TaskSpec> {
        tasks(&self.executor, &self.payload, spec, host_dir)
    }

    fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Fault> {
        let dataset = &self.payload.plan.dataset;
        match (dataset.kind, &dataset.path) {
            (DatasetKind::Jsonl, Some(path)) => Ok(vec![(DATASET, disk::read(path)?)]),
            _ => Ok(Vec::new()),
        }
    }

    fn steps(&self) -> Option<f64> {
        let plan = &self.payload.plan;
        let lineup = Lineup::of(plan);
        let repeats = lineup.groups.len() * plan.search.repeats as usize;
        let sessions = session::search(&lineup.groups).len() + repeats;
        Some((sessions * lineup.cells.len()) as f64)
    }

    fn copied(&mut self, copied: &Copied<'_>) -> Result<(), Fault> {
        Ok(self.gathered.take(copied, &self.payload.rows_path())?)
    }

    fn over(&mut self, copied: &Copied<'_>) -> Result<(), Fault> {
        let result = self.merged(copied);
        self.write_summary(&result, copied.id)?;
        self.copy_help(copied)?;
        self.copy_fairness(copied)
    }

    fn result(&mut self, copied: &Copied<'_>) -> Result<Value, Fault> {
        Ok(json!(self.merged(copied)))
    }
}
