//! Jobs that were submitted, and whether their end was recorded.

use super::State;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    Benchmark,
    Capture,
    Checks,
}

/// A job of the campaign whose end is not in the log yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job<'a> {
    pub kind: JobKind,
    pub id: &'a str,
    /// The event that started it.
    pub started: u64,
}

impl State {
    /// Jobs that were started and whose end is not recorded, oldest first.
    pub fn pending_jobs(&self) -> Vec<Job<'_>> {
        let mut pending: Vec<Job<'_>> = Vec::new();
        let mut add = |kind, id, started, ended: Option<u64>| {
            if ended.is_none_or(|ended| ended < started) {
                pending.push(Job { kind, id, started });
            }
        };
        for job in &self.benchmarks_started {
            let ended = self.benchmarks.iter().rev();
            let ended = ended.clone().find(|end| end.body.job_id == job.body.job_id);
            add(
                JobKind::Benchmark,
                job.body.job_id.as_str(),
                job.seq,
                ended.map(|end| end.seq),
            );
        }
        for job in &self.captures_started {
            let ended = self.captures.iter().rev();
            let ended = ended.clone().find(|end| end.body.job_id == job.body.job_id);
            add(
                JobKind::Capture,
                job.body.job_id.as_str(),
                job.seq,
                ended.map(|end| end.seq),
            );
        }
        for job in &self.checks_started {
            let ended = self.checks.iter().rev();
            let ended = ended.clone().find(|end| end.body.job_id == job.body.job_id);
            add(
                JobKind::Checks,
                job.body.job_id.as_str(),
                job.seq,
                ended.map(|end| end.seq),
            );
        }
        pending.sort_by_key(|job| job.started);
        pending
    }
}
