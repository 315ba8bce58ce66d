//! The supervisor's side: status every second, cancellation, the final word.

use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::folder::JobFolder;
use super::{JobError, JobSpec, JobState, JobStatus, Progress, now};
use crate::disk::{self, DiskError};
use crate::fault::Fault;
use crate::sha256;

/// How a job's work ended.
#[derive(Debug)]
pub enum Outcome {
    Done(Value),
    Cancelled,
    Failed(Fault),
}

/// What the work uses to say how far it is and to hear that it should stop.
#[derive(Debug, Clone)]
pub struct JobHandle {
    folder: JobFolder,
    status: Arc<Mutex<JobStatus>>,
    cancelled: watch::Receiver<bool>,
}

impl JobHandle {
    pub fn id(&self) -> &str {
        &self.folder.id
    }

    pub fn dir(&self) -> &Path {
        &self.folder.dir
    }

    /// Changes the status; the next tick writes it.
    pub fn update(&self, change: impl FnOnce(&mut JobStatus)) {
        change(&mut self.lock());
    }

    /// A receiver that turns true when the job should stop.
    pub fn cancellation(&self) -> watch::Receiver<bool> {
        self.cancelled.clone()
    }

    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, JobStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Result<(), DiskError> {
        let mut status = self.lock();
        status.updated = now();
        let json = serde_json::to_vec_pretty(&*status).unwrap_or_default();
        drop(status);
        disk::write_atomic(&self.folder.status_path(), &json)
    }
}

/// Space set aside so that a full disk can still be reported.
const RESERVE: usize = 64 << 10;
const TICK: Duration = Duration::from_secs(1);
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Runs `work` as the supervisor of the job in `dir`, and records how it ended.
/// Gives the state in which it left the job.
pub async fn supervise<W, F>(dir: &Path, work: W) -> Result<JobState, JobError>
where
    W: FnOnce(JobSpec, JobHandle) -> F,
    F: Future<Output = Outcome>,
{
    let id = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut folder = JobFolder {
        id,
        dir: dir.to_path_buf(),
    };
    let Some(_lock) = take_lock(&folder).await? else {
        return Err(JobError::AlreadySupervised { id: folder.id });
    };
    let spec = folder.spec()?;
    // A task of a job has a folder of another name.
    folder.id.clone_from(&spec.id);
    let reserve = dir.join("reserve");
    disk::write_atomic(&reserve, &vec![0; RESERVE])?;
    let (cancel, cancelled) = watch::channel(false);
    let handle = JobHandle {
        status: Arc::new(Mutex::new(JobStatus {
            state: JobState::Running,
            message: "starting".to_owned(),
            progress: Progress::default(),
            pid: std::process::id(),
            started: now(),
            updated: now(),
            fault: None,
            result_sha256: None,
            live: Value::Null,
        })),
        folder,
        cancelled,
    };
    handle.write()?;
    let ticker = tokio::spawn(tick(handle.clone()));
    let listener = tokio::spawn(listen(handle.folder.clone(), cancel));
    let outcome = work(spec, handle.clone()).await;
    ticker.abort();
    listener.abort();
    // Written or not, the reserve has served its purpose.
    let _ = std::fs::remove_file(&reserve);
    finish(&handle, outcome)
}

/// Takes the folder's lock. Whoever looks whether a job is supervised holds the
/// lock for an instant, so one failure is no proof of another supervisor.
async fn take_lock(folder: &JobFolder) -> Result<Option<File>, JobError> {
    for _ in 0..200 {
        if let Some(lock) = folder.try_lock()? {
            return Ok(Some(lock));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(None)
}

async fn tick(handle: JobHandle) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        if let Err(error) = handle.write() {
            tracing::warn!(%error, "the status was not written");
        }
    }
}

/// Turns the cancel file, SIGTERM and SIGINT into one flag.
async fn listen(folder: JobFolder, cancel: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return;
    };
    let mut poll = tokio::time::interval(CANCEL_POLL);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = poll.tick() => if folder.cancel_path().exists() { break },
        }
    }
    cancel.send_replace(true);
    // Further signals change nothing: the engines are being ended.
    std::future::pending::<()>().await;
}

fn finish(handle: &JobHandle, outcome: Outcome) -> Result<JobState, JobError> {
    match outcome {
        Outcome::Done(result) => {
            let json = serde_json::to_vec_pretty(&result).unwrap_or_default();
            match disk::write_atomic(&handle.folder.result_path(), &json) {
                Ok(()) => handle.update(|status| {
                    status.state = JobState::Done;
                    "done".clone_into(&mut status.message);
                    status.result_sha256 = Some(sha256::hex(&json));
                    status.progress.eta_s = Some(0.0);
                }),
                Err(error) => fail(handle, error.into()),
            }
        }
        Outcome::Cancelled => handle.update(|status| {
            status.state = JobState::Cancelled;
            "cancelled; the same call starts it again".clone_into(&mut status.message);
        }),
        Outcome::Failed(fault) => fail(handle, fault),
    }
    handle.update(|status| status.live = Value::Null);
    handle.write()?;
    let state = handle.lock().state;
    Ok(state)
}

fn fail(handle: &JobHandle, fault: Fault) {
    handle.update(|status| {
        status.state = JobState::Failed;
        status.message.clone_from(&fault.message);
        status.fault = Some(fault);
    });
}
