//! The end of a job on another host: its files compared, its outcome told.

use super::conductor::{Conductor, POLL, unexpected};
use super::line::Line;
use super::protocol::{Answer, Life, Request, TaskLook};
use crate::bench::ranking::standings;
use crate::bench::{BenchResult, summary};
use crate::disk;
use crate::fault::{Fault, FaultCode};
use crate::job::JobState;

impl Conductor {
    /// Everything is over: checks the copy, and tells how it ended.
    pub(super) async fn end(
        &mut self,
        line: &Line,
        tasks: Vec<TaskLook>,
    ) -> Result<Option<BenchResult>, Fault> {
        self.say(format!("{}: checking the copied files", self.place()));
        self.verify(line).await?;
        self.memo.running = false;
        self.memo.save(self.job.dir())?;
        let result = self.result(&tasks);
        self.write_summary(&result)?;
        self.copy_help(&tasks)?;
        self.copy_fairness(&tasks)?;
        if self.job.is_cancelled() {
            return Ok(None);
        }
        if let Some(fault) = tasks.iter().find_map(|task| self.why(task)) {
            return Err(fault);
        }
        let remove = Request::Remove {
            id: self.job.id().to_owned(),
        };
        if let Err(error) = line.ask(&remove, b"").await {
            tracing::warn!(%error, "the job's folder stays on its host");
        }
        Ok(Some(result))
    }

    /// Copies what there is to copy.
    async fn fetch(&mut self, line: &Line) -> Result<(), Fault> {
        let mut wait = POLL;
        loop {
            match self.step(line).await {
                Ok(looked) => {
                    if self.keep(looked)?.is_some() {
                        return Ok(());
                    }
                }
                Err(error) if error.is_connection() => {
                    self.wait_for_connection(&error, &mut wait).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Copies anew whatever differs from the host's hashes.
    async fn verify(&mut self, line: &Line) -> Result<(), Fault> {
        let id = self.job.id().to_owned();
        for _ in 0..3 {
            let Answer::Sums(sums) = self.ask(line, &Request::Sums { id: id.clone() }).await?
            else {
                return Err(unexpected("sums"));
            };
            let differing = self.mirror.differing(&sums);
            if differing.is_empty() {
                return Ok(());
            }
            for path in &differing {
                self.memo.have.remove(path);
            }
            self.fetch(line).await?;
        }
        Err(Fault::new(
            FaultCode::TaskLost,
            format!(
                "files of the job on {} change although it is over",
                line.host()
            ),
            "see who writes to its folder there, then give the plan again",
        )
        .with_evidence(self.memo.dir.display().to_string()))
    }

    /// Why a task is not done.
    fn why(&self, task: &TaskLook) -> Option<Fault> {
        let place = self.place();
        match (&task.life, &task.status) {
            (Life::Ended, Some(status)) if status.state == JobState::Done => None,
            (Life::Ended, Some(status)) => {
                let mut fault = status.fault.clone().unwrap_or_else(|| {
                    Fault::new(
                        FaultCode::TaskLost,
                        format!(
                            "task {} was {} there, not by this job",
                            task.name,
                            format!("{:?}", status.state).to_lowercase()
                        ),
                        "give the plan again to resume: finished rows are kept",
                    )
                });
                fault.message = format!("{place}: {}", fault.message);
                Some(fault)
            }
            (Life::Lost(reason), _) => Some(
                Fault::new(
                    FaultCode::TaskLost,
                    format!("{place}: task {} is lost: {reason}", task.name),
                    "give the plan again to resume: finished rows are kept",
                )
                .retryable()
                .with_evidence(self.mirror.dir.display().to_string()),
            ),
            _ => None,
        }
    }

    fn result(&self, tasks: &[TaskLook]) -> BenchResult {
        let results = tasks.iter().filter_map(|task| {
            let path = self.mirror.dir.join(&task.name).join("result.json");
            serde_json::from_slice::<BenchResult>(&disk::read(&path).ok()?).ok()
        });
        let mut whole = BenchResult {
            winners: standings(&self.gathered.rows)
                .into_iter()
                .filter_map(|cell| cell.into_iter().find(|standing| standing.ok > 0))
                .collect(),
            max_load: Vec::new(),
            launches: 0,
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
    fn copy_help(&self, tasks: &[TaskLook]) -> Result<(), Fault> {
        for task in tasks {
            let from = self.mirror.dir.join(&task.name).join("out/help");
            for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
                let to = self.payload.help_dir().join(entry.file_name());
                disk::write_atomic(&to, &disk::read(&entry.path())?)?;
            }
        }
        Ok(())
    }

    /// What the last task, which has all rows, says of fairness.
    fn copy_fairness(&self, tasks: &[TaskLook]) -> Result<(), Fault> {
        let Some(last) = tasks.last() else {
            return Ok(());
        };
        let from = self
            .mirror
            .dir
            .join(&last.name)
            .join("out/fairness/diagnostics.md");
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

    fn write_summary(&self, result: &BenchResult) -> Result<(), Fault> {
        let dir = &self.payload.output_dir;
        let rows = &self.gathered.rows;
        let text = summary::summary(rows, self.job.id(), &result.warnings, &result.max_load);
        disk::write_atomic(&dir.join("summary.md"), text.as_bytes())?;
        let commands = summary::winning_commands(rows);
        disk::write_atomic(&dir.join("winning-commands.md"), commands.as_bytes())?;
        Ok(())
    }
}
