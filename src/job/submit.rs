//! Starting a job, or finding the one that does the same.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use serde_json::Value;

use super::folder::{JobFolder, JobSpec};
use super::registry::{self, Entry};
use super::{JobError, JobState, JobStatus, Progress, now};
use crate::disk;
use crate::own_binary::own_binary;
use crate::sha256;

/// What became of a submission.
#[derive(Debug)]
pub struct Submission {
    pub job: JobFolder,
    /// False: the job was running or done already.
    pub started: bool,
}

/// Starts a job of `kind` under `jobs_dir`, or returns the one with the same
/// key that runs or is done. One that failed, was cancelled or lost is started
/// again in its own folder, where it finds what it had finished.
pub fn submit(
    jobs_dir: &Path,
    kind: &str,
    key: &str,
    payload: Value,
) -> Result<Submission, JobError> {
    let _turn = registry::lock_key(key)?;
    if let Some(job) = existing(key)? {
        if job.is_supervised()? || job.status()?.state == JobState::Done {
            return Ok(Submission {
                job,
                started: false,
            });
        }
        launch(&job, &IndexMap::new())?;
        return Ok(Submission { job, started: true });
    }
    let job = create(jobs_dir, kind, key, payload)?;
    launch(&job, &IndexMap::new())?;
    Ok(Submission { job, started: true })
}

/// The job of that id, if its spec is as it was submitted.
pub fn open(id: &str) -> Result<JobFolder, JobError> {
    let entry = registry::find(id)?;
    check(&entry)
}

fn existing(key: &str) -> Result<Option<JobFolder>, JobError> {
    match registry::find_key(key) {
        // A folder that was removed is no obstacle to running anew.
        Some(entry) if entry.dir.is_dir() => check(&entry).map(Some),
        _ => Ok(None),
    }
}

fn check(entry: &Entry) -> Result<JobFolder, JobError> {
    let job = JobFolder {
        id: entry.id.clone(),
        dir: entry.dir.clone(),
    };
    if !job.dir.is_dir() {
        return Err(JobError::Gone { dir: job.dir });
    }
    let path = job.spec_path();
    let unchanged = disk::read(&path).is_ok_and(|bytes| sha256::hex(&bytes) == entry.spec_sha256);
    if unchanged {
        Ok(job)
    } else {
        Err(JobError::Tampered {
            path,
            problem: "its SHA-256 is not the one recorded at submission".to_owned(),
        })
    }
}

fn create(jobs_dir: &Path, kind: &str, key: &str, payload: Value) -> Result<JobFolder, JobError> {
    let created = now();
    let stamp: String = created
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let id = format!("{kind}-{stamp}-{}", &key.get(..6).unwrap_or(key));
    let job = JobFolder {
        dir: jobs_dir.join(&id),
        id: id.clone(),
    };
    let spec = JobSpec {
        id: id.clone(),
        key: key.to_owned(),
        kind: kind.to_owned(),
        created,
        payload,
    };
    let json = serde_json::to_vec_pretty(&spec).unwrap_or_default();
    disk::write_atomic(&job.spec_path(), &json)?;
    let entry = Entry {
        id,
        dir: job.dir.clone(),
        spec_sha256: sha256::hex(&json),
    };
    registry::record(&entry, key)?;
    Ok(job)
}

/// Starts the supervisor of a job again, unless it has one.
pub fn restart(job: &JobFolder) -> Result<(), JobError> {
    let _turn = registry::lock_key(&job.spec()?.key)?;
    if job.is_supervised()? {
        return Ok(());
    }
    launch(job, &IndexMap::new())
}

/// Writes the folder of a job that was submitted on another host.
pub fn adopt(dir: &Path, spec: &JobSpec) -> Result<JobFolder, JobError> {
    let job = JobFolder {
        id: spec.id.clone(),
        dir: dir.to_path_buf(),
    };
    let json = serde_json::to_vec_pretty(spec).unwrap_or_default();
    disk::write_atomic(&job.spec_path(), &json)?;
    Ok(job)
}

/// Marks a job as one that its supervisor will take up.
pub fn enqueue(job: &JobFolder) -> Result<(), JobError> {
    let _ = std::fs::remove_file(job.cancel_path());
    let queued = JobStatus {
        state: JobState::Queued,
        message: "starting".to_owned(),
        progress: Progress::default(),
        pid: 0,
        started: now(),
        updated: now(),
        fault: None,
        result_sha256: None,
        live: Value::Null,
    };
    let json = serde_json::to_vec_pretty(&queued).unwrap_or_default();
    Ok(disk::write_atomic(&job.status_path(), &json)?)
}

/// Starts the supervisor in a session of its own, and waits until it has the
/// folder's lock. `env` is set on top of the inherited environment.
pub fn launch(job: &JobFolder, env: &IndexMap<String, String>) -> Result<(), JobError> {
    let wrap = |source| JobError::Spawn {
        id: job.id.clone(),
        source,
    };
    enqueue(job)?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(job.log())
        .map_err(wrap)?;
    let mut command = Command::new(own_binary().map_err(wrap)?);
    command
        .arg("supervise")
        .arg(&job.dir)
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    // SAFETY: setsid is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(wrap)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if job.is_supervised()? {
            break;
        }
        let ended = child.try_wait().map_err(wrap)?.is_some();
        if ended && job.status()?.state.is_final() && job.status()?.pid != 0 {
            return Ok(());
        }
        if ended || Instant::now() > deadline {
            return Err(JobError::DiedAtOnce {
                id: job.id.clone(),
                log: job.log(),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // Reaps the supervisor if it ends before this process does.
    std::thread::spawn(move || child.wait());
    Ok(())
}
