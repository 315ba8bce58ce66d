//! A job's folder on the engine's host, and its tasks.

use std::fs;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::protocol::{How, Life, TaskLook, TaskSpec, is_plain};
use super::slurm::{self, QueueEntry, SCRIPT, Submission};
use crate::disk;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder, JobSpec, JobState};
use crate::own_binary::own_binary;
use crate::state_dir::state_dir;

/// `tasks.json`: what was placed, and where Slurm has it.
#[derive(Debug, Serialize, Deserialize)]
struct Placed {
    id: String,
    how: How,
    tasks: Vec<PlacedTask>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PlacedTask {
    name: String,
    /// Slurm's job, once it is submitted.
    slurm: Option<String>,
    /// Its index, where that is an array.
    index: Option<usize>,
}

/// The folder of one job.
#[derive(Debug)]
pub struct HostJob {
    pub dir: PathBuf,
    placed: Placed,
}

const SEARCH: &str = "search-";

/// Where the jobs of other hosts lie on this one.
pub fn jobs_dir() -> PathBuf {
    state_dir().join("guest-jobs")
}

/// The folder of a job, whether or not it is there.
pub fn dir_of(id: &str) -> Result<PathBuf, Fault> {
    if is_plain(id) {
        Ok(jobs_dir().join(id))
    } else {
        Err(Fault::new(
            FaultCode::InvalidArgument,
            format!("`{id}` is no id of a job"),
            "this program is called by sota-loop itself",
        ))
    }
}

impl HostJob {
    /// Writes the folder of each task that has none. Those that are there keep
    /// what they have.
    pub fn place(id: &str, tasks: &[TaskSpec], how: How) -> Result<Self, Fault> {
        let dir = dir_of(id)?;
        let mut placed = Placed {
            id: id.to_owned(),
            how,
            tasks: Vec::new(),
        };
        let before = Self::open(id).ok();
        for task in tasks {
            if !is_plain(&task.name) {
                return Err(Fault::new(
                    FaultCode::InvalidArgument,
                    format!("`{}` is no name of a task", task.name),
                    "this program is called by sota-loop itself",
                ));
            }
            let spec = JobSpec {
                id: id.to_owned(),
                key: task.key.clone(),
                kind: task.kind.clone(),
                created: task.created.clone(),
                payload: task.payload.clone(),
            };
            let known = before.as_ref().and_then(|job| {
                let mut tasks = job.placed.tasks.iter();
                tasks.find(|known| known.name == task.name)
            });
            if known.is_none() {
                job::adopt(&dir.join(&task.name), &spec)?;
            }
            placed.tasks.push(PlacedTask {
                name: task.name.clone(),
                slurm: known.and_then(|known| known.slurm.clone()),
                index: task
                    .name
                    .strip_prefix(SEARCH)
                    .and_then(|index| index.parse().ok()),
            });
        }
        disk::write_atomic(&dir.join("task.sh"), SCRIPT.as_bytes())?;
        let job = Self { dir, placed };
        job.save()?;
        Ok(job)
    }

    pub fn open(id: &str) -> Result<Self, Fault> {
        let dir = dir_of(id)?;
        let path = dir.join("tasks.json");
        let bytes = disk::read(&path)?;
        let placed = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::new(
                FaultCode::JobTampered,
                format!("{}: {error}", path.display()),
                "remove the job's folder there and give the same call again",
            )
        })?;
        Ok(Self { dir, placed })
    }

    fn save(&self) -> Result<(), Fault> {
        let json = serde_json::to_vec_pretty(&self.placed).unwrap_or_default();
        Ok(disk::write_atomic(&self.dir.join("tasks.json"), &json)?)
    }

    fn folder(&self, name: &str) -> JobFolder {
        JobFolder {
            id: self.placed.id.clone(),
            dir: self.dir.join(name),
        }
    }

    fn state(&self, name: &str) -> Option<JobState> {
        let status = self.folder(name).recorded_status().ok()?;
        Some(status.state)
    }

    /// Starts every task that is neither alive nor done.
    pub fn start(&mut self, env: &IndexMap<String, String>) -> Result<(), Fault> {
        let idle = self.idle()?;
        if idle.is_empty() {
            return Ok(());
        }
        match self.placed.how.clone() {
            How::Detached => {
                for name in &idle {
                    job::launch(&self.folder(name), env)?;
                }
                Ok(())
            }
            How::Slurm(options) => {
                for name in &idle {
                    job::enqueue(&self.folder(name))?;
                }
                self.submit(&options, &idle, env)
            }
        }
    }

    /// Tasks that are to be started.
    fn idle(&self) -> Result<Vec<String>, Fault> {
        let looks = self.look(true)?;
        let unknown = looks.iter().any(|task| task.life == Life::Unknown);
        if unknown {
            return Err(Fault::new(
                FaultCode::HostUnusable,
                "Slurm does not say which jobs there are",
                "`scontrol show job` must work on that host",
            )
            .retryable());
        }
        Ok(looks
            .into_iter()
            .filter(|task| {
                let done = task
                    .status
                    .as_ref()
                    .is_some_and(|status| status.state == JobState::Done);
                !done && !matches!(task.life, Life::Alive(_))
            })
            .map(|task| task.name)
            .collect())
    }

    /// The searches as one array, and the measurement after all of them.
    fn submit(
        &mut self,
        options: &super::protocol::SlurmOptions,
        idle: &[String],
        env: &IndexMap<String, String>,
    ) -> Result<(), Fault> {
        let program = own_binary()
            .map_err(|error| {
                Fault::new(
                    FaultCode::LaunchFailed,
                    format!("this program does not know its own path: {error}"),
                    "repeat the call",
                )
            })?
            .display()
            .to_string();
        let searches: Vec<usize> = idle
            .iter()
            .filter_map(|name| name.strip_prefix(SEARCH)?.parse().ok())
            .collect();
        let mut submission = Submission {
            options,
            job: &self.placed.id.clone(),
            dir: &self.dir.clone(),
            program: &program,
            task: SEARCH,
            array: &searches,
            after: None,
        };
        let array = if searches.is_empty() {
            None
        } else {
            Some(submission.submit(env)?)
        };
        self.note(
            |task| task.index.is_some_and(|i| searches.contains(&i)),
            &array,
        )?;
        let Some(measure) = idle.iter().find(|name| !name.starts_with(SEARCH)) else {
            return Ok(());
        };
        submission.task = measure;
        submission.array = &[];
        submission.after = array.as_deref();
        let submitted = submission.submit(env);
        if let (Err(_), Some(array)) = (&submitted, &array) {
            // Without its end the search is of no use.
            let _ = slurm::cancel(&[array], false);
        }
        let submitted = Some(submitted?);
        self.note(|task| &task.name == measure, &submitted)
    }

    fn note(
        &mut self,
        which: impl Fn(&PlacedTask) -> bool,
        slurm: &Option<String>,
    ) -> Result<(), Fault> {
        for task in self.placed.tasks.iter_mut().filter(|task| which(task)) {
            task.slurm.clone_from(slurm);
        }
        self.save()
    }

    /// How far each task is; Slurm is asked only when `ask_queue` says so.
    pub fn look(&self, ask_queue: bool) -> Result<Vec<TaskLook>, Fault> {
        // Before the statuses: a task that ends in between has its last word.
        let queue = match (&self.placed.how, ask_queue) {
            (How::Slurm(_), true) => slurm::queue(&self.slurm_ids()),
            _ => None,
        };
        let looks = self.placed.tasks.iter().map(|task| {
            let folder = self.folder(&task.name);
            let status = folder.recorded_status().ok();
            let ended = status
                .as_ref()
                .is_some_and(|status| status.state.is_final());
            let life = match (&self.placed.how, ended, &status) {
                (_, true, _) => Life::Ended,
                (_, _, None) => Life::Lost("it was never started".to_owned()),
                (How::Detached, ..) => detached_life(&folder)?,
                (How::Slurm(_), ..) => slurm_life(queue.as_deref(), task),
            };
            Ok(TaskLook {
                name: task.name.clone(),
                // Its last word may have come since.
                status: match life {
                    Life::Ended => status,
                    _ => folder.recorded_status().ok(),
                },
                life,
            })
        });
        looks.collect()
    }

    fn slurm_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self
            .placed
            .tasks
            .iter()
            .filter_map(|task| task.slurm.as_deref())
            .collect();
        ids.dedup();
        ids
    }

    /// Asks every task that is not over to end.
    pub fn cancel(&self) -> Result<(), Fault> {
        for task in &self.placed.tasks {
            if !self.state(&task.name).is_some_and(JobState::is_final) {
                self.folder(&task.name).cancel()?;
            }
        }
        slurm::cancel(&self.slurm_ids(), false)
    }

    /// Kills the supervisors that are left; their guards end the engines.
    pub fn kill(&self) -> Result<(), Fault> {
        for task in &self.placed.tasks {
            let folder = self.folder(&task.name);
            let Ok(status) = folder.recorded_status() else {
                continue;
            };
            let here = matches!(self.placed.how, How::Detached);
            if here && folder.is_supervised()? && status.pid > 1 {
                let _ = kill(Pid::from_raw(status.pid.cast_signed()), Signal::SIGKILL);
            }
        }
        slurm::cancel(&self.slurm_ids(), true)
    }

    /// Removes the folder, unless a task lives.
    pub fn remove(self) -> Result<(), Fault> {
        let alive = self
            .look(false)?
            .iter()
            .any(|task| !matches!(task.life, Life::Ended | Life::Lost(_)));
        if alive {
            return Err(Fault::new(
                FaultCode::HostUnusable,
                format!("job {} is not over", self.placed.id),
                "wait for its end",
            ));
        }
        remove(&self.dir)
    }
}

fn remove(dir: &Path) -> Result<(), Fault> {
    Ok(
        fs::remove_dir_all(dir).map_err(|source| disk::DiskError::Write {
            path: dir.to_path_buf(),
            source,
        })?,
    )
}

fn detached_life(folder: &JobFolder) -> Result<Life, Fault> {
    if folder.is_supervised()? {
        return Ok(Life::Alive(None));
    }
    // It may have ended between the two looks.
    match folder.recorded_status() {
        Ok(status) if status.state.is_final() => Ok(Life::Ended),
        _ => Ok(Life::Lost("its supervisor died".to_owned())),
    }
}

fn slurm_life(queue: Option<&[QueueEntry]>, task: &PlacedTask) -> Life {
    match (queue, &task.slurm) {
        (_, None) => Life::Lost("it was never submitted".to_owned()),
        (None, Some(_)) => Life::Unknown,
        (Some(entries), Some(id)) => slurm::life(entries, id, task.index),
    }
}
