//! The work of a benchmark job: search, then interleaved repeats of the winners.

mod decide;
mod max_load;
mod report;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::container;
use super::failure::RunFailure;
use super::launching::{self, Kept};
use super::lineup::Lineup;
use super::max_load::MaxLoad;
use super::measure::{Measured, RunSpec, measure};
use super::plan::{Plan, Relaunch};
use super::preparation;
use super::prompts::Prompts;
use super::remote::Part;
use super::request::BenchPayload;
use super::row::Row;
use super::row_place::given_gpus;
use super::row_writer::{Cell, RowWriter};
use super::rows_file::{self, RowsError};
use super::rows_written::RowCount;
use super::session::{self, Phase, Session};
use super::{BenchError, BenchResult};
use super::{foreseen, gpus};
use crate::fault::Fault;
use crate::job::{JobHandle, Outcome};
use crate::launch::{self, GpuId};

/// Runs a benchmark job to its end. No engine outlives this call.
pub async fn run(payload: BenchPayload, job: JobHandle) -> Outcome {
    match Runner::new(payload, job.clone()) {
        Ok(runner) => match runner.run().await {
            Ok(Some(result)) => match serde_json::to_value(result) {
                Ok(value) => Outcome::Done(value),
                Err(error) => Outcome::Failed(BenchError::Result(error).into()),
            },
            Ok(None) => Outcome::Cancelled,
            Err(error) => Outcome::Failed(error.into()),
        },
        Err(error) => Outcome::Failed(Fault::from(error)),
    }
}

struct Runner {
    payload: BenchPayload,
    job: JobHandle,
    lineup: Lineup,
    part: Part,
    prompts: Prompts,
    writer: RowWriter,
    rows: Vec<Row>,
    /// Lines of the job in the rows' file.
    written: RowCount,
    deadline: Option<Instant>,
    started: Instant,
    launches: u32,
    /// Runs of this process that took time, for the pace.
    worked: u32,
    gpus: Vec<GpuId>,
    warnings: Vec<String>,
    /// Candidates that are not launched, with the reason.
    unusable: HashMap<usize, RunFailure>,
    max_loads: Vec<MaxLoad>,
}

/// The driver may list a process for a moment after its end.
const AFTER_A_STOP: Duration = Duration::from_secs(20);

/// Stops the whole job: cancelled, or something that no row can tell.
enum Halt {
    Cancelled,
    Error(BenchError),
}

impl From<BenchError> for Halt {
    fn from(error: BenchError) -> Self {
        Self::Error(error)
    }
}

impl Runner {
    fn new(mut payload: BenchPayload, job: JobHandle) -> Result<Self, BenchError> {
        let writer = RowWriter::new(&payload, job.id());
        // The rows' keys keep the plan as it was written: another GPU of the
        // same node is no other measurement.
        let given = given_gpus(payload.share.as_ref().map(|share| share.kind));
        if !given.is_empty() {
            payload.plan.hardware.gpu_ids = given;
        }
        let plan = &payload.plan;
        let mut lineup = Lineup::of(plan);
        rows_file::mend(&payload.rows_path())?;
        let mut rows = Vec::new();
        if plan.search.resume {
            rows = rows_file::of_job(&payload.rows_path(), job.id())?;
        }
        let part = payload.share.as_ref().map_or(Part::All, |share| share.part);
        for path in payload.share.iter().flat_map(|share| &share.earlier_rows) {
            rows.extend(rows_file::of_job(path, job.id())?);
        }
        let max_wall = plan.search.max_wall_s;
        Ok(Self {
            prompts: Prompts::of(plan)?,
            writer,
            part,
            warnings: std::mem::take(&mut lineup.warnings),
            lineup,
            rows,
            written: RowCount::of(&payload.rows_path(), job.id())?,
            deadline: max_wall.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            started: Instant::now(),
            launches: 0,
            worked: 0,
            gpus: Vec::new(),
            unusable: HashMap::new(),
            max_loads: Vec::new(),
            payload,
            job,
        })
    }

    fn plan(&self) -> &Plan {
        &self.payload.plan
    }

    async fn run(mut self) -> Result<Option<BenchResult>, BenchError> {
        self.gpus = launch::resolve(&self.plan().hardware.gpu_ids)?;
        self.warnings.extend(foreseen::unwatched(&self.gpus));
        let patience = Duration::from_secs(self.plan().timeouts.wait_for_gpu_s);
        let gpu_ids = &self.plan().hardware.gpu_ids;
        let Some(_lock) = gpus::take(gpu_ids, self.deadline, patience, &self.job).await? else {
            return Ok(None);
        };
        container::sweep(self.plan(), &self.job).await;
        if !self.prepare().await? {
            return Ok(None);
        }
        let search = self.part.search(session::search(&self.lineup.groups));
        let searches = search.len();
        let repeats = if self.part.measures() {
            self.plan().search.repeats
        } else {
            0
        };
        self.plan_progress(searches + self.lineup.groups.len() * repeats as usize);
        if self.halted(search).await? {
            return Ok(None);
        }
        let arms = self.lineup.winners(&self.rows);
        let measured = session::interleaved(&arms, repeats);
        self.plan_progress(searches + measured.len());
        if self.halted(measured).await? {
            return Ok(None);
        }
        if self.part.measures() && self.max_loads(&arms).await? {
            return Ok(None);
        }
        self.finish().map(Some)
    }

    /// Runs sessions; true when the job was cancelled.
    async fn halted(&mut self, sessions: Vec<Session>) -> Result<bool, BenchError> {
        let halt = self.sessions(&sessions).await;
        self.write_summary()?;
        match halt {
            Ok(()) => Ok(false),
            Err(Halt::Cancelled) => Ok(true),
            Err(Halt::Error(error)) => Err(error),
        }
    }

    /// Waits for what was just ended to be gone, and refuses a foreign process;
    /// false when cancelled.
    async fn gpus_are_free(&self, session: &Session) -> Result<bool, BenchError> {
        let name = &self.lineup.candidates[session.candidate].framework;
        let framework = self.plan().frameworks.get(name);
        if framework.is_some_and(|framework| framework.url.is_some()) {
            return Ok(true);
        }
        gpus::wait_free(&self.plan().hardware.gpu_ids, AFTER_A_STOP, &self.job).await
    }

    /// Finds out what the frameworks are; false when cancelled meanwhile.
    async fn prepare(&mut self) -> Result<bool, BenchError> {
        self.job.update(|status| {
            "reading versions and helps of the frameworks".clone_into(&mut status.message);
        });
        let help = self.payload.help_dir();
        let mut cancelled = self.job.cancellation();
        let prepared = tokio::select! {
            prepared = preparation::prepare(self.plan(), &self.lineup, &help, &self.job) => prepared?,
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(false),
        };
        self.warnings.extend(prepared.warnings);
        self.writer.installations = prepared.installations;
        self.writer.benchmark_help = prepared.benchmark_help;
        self.unusable = prepared.unusable;
        Ok(true)
    }

    fn plan_progress(&self, sessions: usize) {
        let total = (sessions * self.lineup.cells.len()) as f64;
        self.job.update(|status| status.progress.total = total);
    }

    async fn sessions(&mut self, sessions: &[Session]) -> Result<(), Halt> {
        let mut kept: Option<Kept> = None;
        let mut failure = Ok(());
        for (index, session) in sessions.iter().enumerate() {
            failure = self.session(session, &mut kept).await;
            let next_shares = self.plan().search.relaunch == Relaunch::Shared
                && !self.prompts.repeat_between_runs()
                && sessions
                    .get(index + 1)
                    .is_some_and(|next| next.candidate == session.candidate);
            if failure.is_err() || !next_shares {
                self.stop(kept.take()).await;
            }
            if failure.is_err() {
                break;
            }
        }
        self.stop(kept).await;
        failure
    }

    async fn session(&mut self, session: &Session, kept: &mut Option<Kept>) -> Result<(), Halt> {
        for index in 0..self.lineup.cells.len() {
            if self.job.is_cancelled() {
                return Err(Halt::Cancelled);
            }
            let cell = self.cell(session, index)?;
            if self.is_done(&cell) {
                self.tick();
                continue;
            }
            let row = match self.reason_not_to_run(session, &cell) {
                Some(failure) => self.writer.failed(&cell, &failure),
                None => self.measured_row(session, index, &cell, kept).await?,
            };
            self.record(row)?;
        }
        Ok(())
    }

    /// Measures one cell, launching the server if it is not up.
    async fn measured_row(
        &mut self,
        session: &Session,
        index: usize,
        cell: &Cell,
        kept: &mut Option<Kept>,
    ) -> Result<Row, Halt> {
        if let Some(up) = kept.take_if(|up| up.server.has_ended().is_some()) {
            self.stop(Some(up)).await;
        }
        let up = match kept {
            Some(up) => up,
            None if !self.gpus_are_free(session).await? => return Err(Halt::Cancelled),
            None => match self.launch(session).await {
                Ok(up) => kept.insert(up),
                Err(failure) if failure.cancelled => return Err(Halt::Cancelled),
                Err(failure) => {
                    // Every other scenario would meet the same launch.
                    self.fail_rest(session, index + 1, &failure)?;
                    return Ok(self.writer.failed(cell, &failure));
                }
            },
        };
        let outcome = match self.measure(session, index, up).await {
            Ok(measured) => up.sources_unchanged().map(|()| measured),
            failed => failed,
        };
        match outcome {
            Ok(measured) => Ok(self.writer.measured(cell, &up.server, &up.launch, measured)),
            Err(failure) if failure.cancelled => Err(Halt::Cancelled),
            Err(failure) => {
                let row = self
                    .writer
                    .failed_on(cell, &up.server, &up.launch, &failure);
                // A server that failed a run is not trusted with the next.
                self.stop(kept.take()).await;
                Ok(row)
            }
        }
    }

    fn fail_rest(
        &mut self,
        session: &Session,
        from: usize,
        failure: &RunFailure,
    ) -> Result<(), Halt> {
        for index in from..self.lineup.cells.len() {
            let cell = self.cell(session, index)?;
            if !self.is_done(&cell) {
                let row = self.writer.failed(&cell, failure);
                self.record(row)?;
            }
        }
        Ok(())
    }

    async fn launch(&mut self, session: &Session) -> Result<Kept, RunFailure> {
        self.launches += 1;
        let number = self.launches;
        launching::launch(self.plan(), &self.lineup, session, number, &self.job).await
    }

    async fn measure(
        &self,
        session: &Session,
        index: usize,
        up: &Kept,
    ) -> Result<Measured, RunFailure> {
        let (scenario, load_index, load) = self.lineup.cell(index);
        let candidate = &self.lineup.candidates[session.candidate];
        let spec = RunSpec {
            plan: self.plan(),
            prompts: &self.prompts,
            scenario,
            load: *load,
            load_index: *load_index,
            phase: session.phase,
            repeat: session.repeat,
            title: format!(
                "{} {} {} ({})",
                candidate.framework,
                candidate.id,
                scenario.name,
                match session.phase {
                    Phase::Search => "search".to_owned(),
                    Phase::Measure => format!("repeat {}", session.repeat),
                    Phase::MaxLoad => load.request_rate.map_or_else(
                        || "max load".to_owned(),
                        |rate| format!("max load, {rate} req/s"),
                    ),
                }
            ),
            framework: &candidate.framework,
            candidate_id: &candidate.id,
            raw: self.lineup.raw_path(self.job.dir(), session, index),
        };
        measure(&up.server, &spec, &self.job).await
    }

    async fn stop(&mut self, kept: Option<Kept>) {
        let Some(Kept {
            candidate, server, ..
        }) = kept
        else {
            return;
        };
        let log = server.log.display().to_string();
        let patience = server.patience.as_secs();
        let Some(ended) = server.stop().await else {
            return;
        };
        let name = &self.lineup.candidates[candidate];
        if ended.killed {
            self.warnings.push(format!(
                "{} {}: the server ignored SIGTERM for {patience} s and was killed ({log})",
                name.framework, name.id
            ));
        }
        if let Some(reason) = ended.log_failure {
            self.warnings
                .push(format!("the server log {log} is not complete: {reason}"));
        }
    }

    fn cell(&self, session: &Session, index: usize) -> Result<Cell, BenchError> {
        let (scenario, load_index, load) = self.lineup.cell(index);
        self.writer.cell(
            &self.lineup.candidates[session.candidate],
            session,
            scenario,
            (*load_index, *load),
            self.lineup.raw_path(self.job.dir(), session, index),
        )
    }

    fn record(&mut self, row: Row) -> Result<(), Halt> {
        let line = rows_file::append(&self.payload.rows_path(), &row)
            .map_err(|error| Halt::Error(error.into()))?;
        self.written.add(line.as_bytes());
        self.rows.push(row);
        self.worked += 1;
        self.tick();
        Ok(())
    }

    fn tick(&self) {
        let pace = self.started.elapsed().as_secs_f64() / f64::from(self.worked.max(1));
        let worked = self.worked;
        self.job.update(|status| {
            status.progress.done += 1.0;
            let left = (status.progress.total - status.progress.done).max(0.0);
            status.progress.eta_s = (worked > 0).then_some(left * pace);
        });
    }
}

impl From<RowsError> for BenchError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Disk(error) => Self::Disk(error),
            damaged => Self::Rows(damaged),
        }
    }
}

/// The job's payload as its spec holds it.
pub fn payload_of(value: Value) -> Result<BenchPayload, BenchError> {
    serde_json::from_value(value).map_err(BenchError::Result)
}
