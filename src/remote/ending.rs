//! The end of a job on another host: its files compared, its outcome told.

use serde_json::Value;

use super::conductor::{Conductor, POLL, unexpected};
use super::line::Line;
use super::protocol::{Answer, Life, Request, TaskLook};
use crate::fault::{Fault, FaultCode};
use crate::job::JobState;

impl Conductor {
    /// Everything is over: checks the copy, and tells how it ended.
    pub(super) async fn end(
        &mut self,
        line: &Line,
        tasks: Vec<TaskLook>,
    ) -> Result<Option<Value>, Fault> {
        self.say(format!("{}: checking the copied files", self.place()));
        self.verify(line).await?;
        self.memo.running = false;
        self.memo.save(self.job.dir())?;
        self.with_copied(&tasks, |work, copied| work.over(copied))?;
        if self.job.is_cancelled() {
            return Ok(None);
        }
        if let Some(fault) = tasks.iter().find_map(|task| self.why(task)) {
            return Err(fault);
        }
        let result = self.with_copied(&tasks, |work, copied| work.result(copied))?;
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
            "see who writes to its folder there, then give the same call again",
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
                        "give the same call again to resume: what is finished is kept",
                    )
                });
                fault.message = format!("{place}: {}", fault.message);
                Some(fault)
            }
            (Life::Lost(reason), _) => Some(
                Fault::new(
                    FaultCode::TaskLost,
                    format!("{place}: task {} is lost: {reason}", task.name),
                    "give the same call again to resume: what is finished is kept",
                )
                .retryable()
                .with_evidence(self.mirror.dir.display().to_string()),
            ),
            _ => None,
        }
    }
}
