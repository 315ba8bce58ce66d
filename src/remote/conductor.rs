//! The local supervisor of a job on another host: starts it there, or finds it,
//! and follows it to its end.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::line::Line;
use super::memo::Memo;
use super::mirror::Mirror;
use super::protocol::{Answer, Life, Look, Request, TaskLook};
use super::{Copied, Placement, Work};
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobError, JobFolder, JobHandle, JobSpec, JobState, Outcome};
use crate::launch::remote::RemoteError;
use crate::sha256;

pub(super) const POLL: Duration = Duration::from_secs(1);
/// Slurm's controller is asked at most this often.
const QUEUE_POLL: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// From the wish to cancel until a host that cannot be reached is given up.
const CANCEL_PATIENCE: Duration = Duration::from_secs(30);

/// Takes up the job of a host whose local conductor is gone, as after this
/// computer was shut down; true when there is one to follow now.
pub fn pick_up(job: &JobFolder) -> Result<bool, JobError> {
    take_up(job, &[JobState::Lost])
}

/// Cancels a job. One that goes on at a host which could not be reached before
/// is followed anew for it.
pub fn cancel(job: &JobFolder) -> Result<(), JobError> {
    take_up(job, &[JobState::Lost, JobState::Failed])?;
    job.cancel()
}

fn take_up(job: &JobFolder, states: &[JobState]) -> Result<bool, JobError> {
    if !Memo::load(&job.dir).running || !states.contains(&job.status()?.state) {
        return Ok(false);
    }
    job::restart(job)?;
    Ok(true)
}

/// Follows the job to its end on its host.
pub async fn conduct(
    spec: JobSpec,
    placement: Placement,
    work: Box<dyn Work>,
    job: JobHandle,
) -> Outcome {
    match Conductor::new(spec, placement, work, job).run().await {
        Ok(Some(result)) => Outcome::Done(result),
        Ok(None) => Outcome::Cancelled,
        Err(fault) => Outcome::Failed(fault),
    }
}

/// One job as it is followed.
pub(super) struct Conductor {
    spec: JobSpec,
    placement: Placement,
    pub(super) work: Box<dyn Work>,
    pub(super) job: JobHandle,
    pub(super) mirror: Mirror,
    pub(super) memo: Memo,
    queue_asked: Option<Instant>,
    queue_wait: Duration,
    cancel: Option<Cancelling>,
}

/// How far a cancellation got.
struct Cancelling {
    since: Instant,
    told: bool,
    killed: bool,
}

impl Conductor {
    fn new(spec: JobSpec, placement: Placement, work: Box<dyn Work>, job: JobHandle) -> Self {
        let mirror = Mirror::under(job.dir());
        let mut memo = Memo::load(job.dir());
        mirror.check(&mut memo.have);
        Self {
            mirror,
            memo,
            spec,
            placement,
            work,
            job,
            queue_asked: None,
            queue_wait: POLL,
            cancel: None,
        }
    }

    async fn run(mut self) -> Result<Option<Value>, Fault> {
        self.say(format!("connecting to {}", self.place()));
        let Some(line) = self.connect().await? else {
            return Ok(None);
        };
        let outcome = self.follow(&line).await;
        line.close().await;
        outcome
    }

    pub(super) fn place(&self) -> &str {
        self.placement.name()
    }

    pub(super) fn say(&self, message: String) {
        self.job.update(|status| status.message = message);
    }

    /// A first connection that fails is the end; one to a job that runs there
    /// is tried until it comes back.
    async fn connect(&mut self) -> Result<Option<Line>, Fault> {
        let mut wait = POLL;
        loop {
            let mut cancelled = self.job.cancellation();
            let opened = tokio::select! {
                opened = Line::open(self.placement.host.as_deref()) => opened,
                _ = cancelled.wait_for(|cancelled| *cancelled), if !self.memo.running => {
                    return Ok(None);
                }
            };
            match opened {
                Ok(line) => return Ok(Some(line)),
                Err(error) if self.memo.running && error.is_connection() => {
                    self.wait_for_connection(&error, &mut wait).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits before the next try; an error when cancelled for too long.
    pub(super) async fn wait_for_connection(
        &mut self,
        error: &RemoteError,
        wait: &mut Duration,
    ) -> Result<(), Fault> {
        if self.job.is_cancelled() {
            let cancelling = self.cancelling();
            if cancelling.since.elapsed() > CANCEL_PATIENCE {
                let message = format!("{error}; the job goes on there and was not cancelled");
                return Err(Fault::new(
                    FaultCode::HostUnreachable,
                    message,
                    "cancel it again once the host can be reached",
                )
                .retryable());
            }
        }
        self.say(format!("{error}; the job goes on there, trying again"));
        let mut cancelled = self.job.cancellation();
        tokio::select! {
            () = tokio::time::sleep(*wait) => {}
            _ = cancelled.wait_for(|cancelled| *cancelled), if self.cancel.is_none() => {}
        }
        *wait = (*wait * 2).min(LONGEST_WAIT);
        Ok(())
    }

    fn cancelling(&mut self) -> &mut Cancelling {
        self.cancel.get_or_insert_with(|| Cancelling {
            since: Instant::now(),
            told: false,
            killed: false,
        })
    }

    async fn follow(&mut self, line: &Line) -> Result<Option<Value>, Fault> {
        if !self.memo.running {
            self.place_tasks(line).await?;
        }
        if !self.memo.started {
            self.start(line).await?;
        }
        let mut wait = POLL;
        loop {
            let looked = match self.step(line).await {
                Ok(looked) => looked,
                Err(error) if error.is_connection() => {
                    self.wait_for_connection(&error, &mut wait).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            wait = POLL;
            let tasks = self.keep(looked)?;
            let Some(tasks) = tasks else { continue };
            self.show(&tasks);
            if tasks.iter().all(|task| is_over(&task.life)) {
                return self.end(line, tasks).await;
            }
            let mut cancelled = self.job.cancellation();
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = cancelled.wait_for(|cancelled| *cancelled), if self.cancel.is_none() => {}
            }
        }
    }

    /// Asks until the host answers, however long it cannot be reached.
    pub(super) async fn ask(&mut self, line: &Line, request: &Request) -> Result<Answer, Fault> {
        let mut wait = POLL;
        loop {
            match line.ask(request, b"").await {
                Ok((answer, _)) => return Ok(answer),
                Err(error) if error.is_connection() => {
                    self.wait_for_connection(&error, &mut wait).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes the job's folder on its host.
    async fn place_tasks(&mut self, line: &Line) -> Result<(), Fault> {
        self.say(format!("starting on {}", self.place()));
        let id = self.job.id().to_owned();
        let (Answer::Hello { jobs_dir }, _) = line.ask(&Request::Hello, b"").await? else {
            return Err(unexpected("hello"));
        };
        let host_dir = jobs_dir.join(&id);
        let place = Request::Place {
            id: id.clone(),
            tasks: self.work.tasks(&self.spec, &host_dir),
            how: self.placement.how.clone(),
        };
        line.ask(&place, b"").await?;
        for (name, bytes) in self.work.files()? {
            let put = Request::Put {
                id: id.clone(),
                name: name.to_owned(),
                sha256: sha256::hex(&bytes),
            };
            line.ask(&put, &bytes).await?;
        }
        self.memo.dir = host_dir;
        self.memo.running = true;
        self.memo.started = false;
        Ok(self.memo.save(self.job.dir())?)
    }

    /// Starts what does not run; asking twice does no harm.
    async fn start(&mut self, line: &Line) -> Result<(), Fault> {
        let start = Request::Start {
            id: self.job.id().to_owned(),
            env: self.placement.secrets(),
        };
        match self.ask(line, &start).await {
            Ok(_) => self.memo.started = true,
            Err(fault) => {
                self.memo.running = false;
                self.memo.save(self.job.dir())?;
                return Err(fault);
            }
        }
        Ok(self.memo.save(self.job.dir())?)
    }

    /// Passes a cancellation on, then looks how far the tasks are.
    pub(super) async fn step(&mut self, line: &Line) -> Result<(Look, Vec<u8>), RemoteError> {
        if self.job.is_cancelled() {
            self.pass_cancel(line).await?;
        }
        let due = self
            .queue_asked
            .is_none_or(|asked| asked.elapsed() >= self.queue_wait);
        let request = Request::Look {
            id: self.job.id().to_owned(),
            have: self.memo.have.clone(),
            ask_queue: due,
        };
        let (answer, bytes) = line.ask(&request, b"").await?;
        if due {
            self.queue_asked = Some(Instant::now());
            self.queue_wait = (self.queue_wait * 2).min(QUEUE_POLL);
        }
        match answer {
            Answer::Look(look) => Ok((look, bytes)),
            _ => Err(RemoteError::Garbled {
                host: line.host().to_owned(),
                program: "sota-loop agent".to_owned(),
                reason: "it answered another question".to_owned(),
            }),
        }
    }

    async fn pass_cancel(&mut self, line: &Line) -> Result<(), RemoteError> {
        let id = self.job.id().to_owned();
        let patience = self.placement.patience;
        let cancelling = self.cancelling();
        if !cancelling.told {
            line.ask(&Request::Cancel { id }, b"").await?;
            self.cancelling().told = true;
            // Slurm forgets and frees at once.
            self.queue_wait = Duration::ZERO;
        } else if !cancelling.killed && cancelling.since.elapsed() > patience {
            line.ask(&Request::Kill { id }, b"").await?;
            self.cancelling().killed = true;
        }
        Ok(())
    }

    /// Writes what came; none while a file is only half here.
    pub(super) fn keep(
        &mut self,
        (look, bytes): (Look, Vec<u8>),
    ) -> Result<Option<Vec<TaskLook>>, Fault> {
        if !look.pieces.is_empty() {
            self.mirror
                .write(look.pieces, &bytes, &mut self.memo.have)?;
            self.memo.save(self.job.dir())?;
        }
        if look.more {
            return Ok(None);
        }
        self.with_copied(&look.tasks, |work, copied| work.copied(copied))?;
        Ok(Some(look.tasks))
    }

    /// Gives the domain what is copied.
    pub(super) fn with_copied<T>(
        &mut self,
        tasks: &[TaskLook],
        then: impl FnOnce(&mut dyn Work, &Copied<'_>) -> T,
    ) -> T {
        let tasks: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
        let copied = Copied {
            id: self.job.id(),
            dir: &self.mirror.dir,
            host_dir: &self.memo.dir,
            tasks: &tasks,
        };
        then(self.work.as_mut(), &copied)
    }

    /// The tasks' progress as the job's own.
    fn show(&self, tasks: &[TaskLook]) {
        let statuses = || tasks.iter().filter_map(|task| task.status.as_ref());
        let running = statuses().find(|status| status.state == JobState::Running);
        let waiting = tasks.iter().find_map(|task| match &task.life {
            Life::Alive(Some(said)) => Some(said.clone()),
            _ => None,
        });
        let steps = self.work.steps().unwrap_or_default();
        let cancelling = self.cancel.is_some();
        let place = self.place().to_owned();
        self.job.update(|status| {
            status.progress.done = statuses().map(|task| task.progress.done).sum();
            status.progress.total = steps.max(statuses().map(|task| task.progress.total).sum());
            status.progress.eta_s = running.and_then(|task| task.progress.eta_s);
            status.live = running.map_or(Value::Null, |task| task.live.clone());
            status.state = if running.is_some() {
                JobState::Running
            } else {
                JobState::Queued
            };
            let what = match (running, waiting) {
                (Some(task), _) => task.message.clone(),
                (None, Some(said)) => said,
                (None, None) => "waiting".to_owned(),
            };
            let lead = if cancelling { "cancelling; " } else { "" };
            status.message = format!("{place}: {lead}{what}");
        });
    }
}

fn is_over(life: &Life) -> bool {
    matches!(life, Life::Ended | Life::Lost(_))
}

pub(super) fn unexpected(question: &str) -> Fault {
    Fault::new(
        FaultCode::HostUnusable,
        format!("the program there does not answer `{question}`"),
        "repeat the call",
    )
}
