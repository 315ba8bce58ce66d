//! After the repeats: how much load each framework's winner bears.

use super::{Halt, Runner};
use crate::bench::max_load::{MaxLoad, MaxLoadSearch, Trial, next_rate};
use crate::bench::plan::{LoadPoint, Scenario};
use crate::bench::prompts::Prompts;
use crate::bench::session::{Phase, Session};
use crate::bench::{BenchError, launching::Kept};

impl Runner {
    /// Bisects the rate of every arm and scenario; true when cancelled.
    pub(super) async fn max_loads(&mut self, arms: &[usize]) -> Result<bool, BenchError> {
        let Some(search) = self.plan().search.max_load else {
            return Ok(false);
        };
        self.payload.plan.dataset.num_prompts = search.num_prompts;
        self.writer.set_num_prompts(search.num_prompts);
        self.prompts = Prompts::of(self.plan())?;
        let mut ended = Ok(());
        for arm in arms {
            let session = Session {
                phase: Phase::MaxLoad,
                candidate: *arm,
                repeat: 0,
            };
            let mut kept = None;
            ended = self.bisect_scenarios(&search, &session, &mut kept).await;
            self.stop(kept).await;
            if ended.is_err() {
                break;
            }
        }
        self.write_summary()?;
        match ended {
            Ok(()) => Ok(false),
            Err(Halt::Cancelled) => Ok(true),
            Err(Halt::Error(error)) => Err(error),
        }
    }

    async fn bisect_scenarios(
        &mut self,
        search: &MaxLoadSearch,
        session: &Session,
        kept: &mut Option<Kept>,
    ) -> Result<(), Halt> {
        for scenario in self.plan().scenarios() {
            let mut trials = Vec::new();
            while let Some(rate) = next_rate(search, &trials) {
                let Some(trial) = self.trial(search, session, &scenario, rate, kept).await? else {
                    break;
                };
                trials.push(trial);
            }
            let candidate = &self.lineup.candidates[session.candidate];
            self.max_loads.push(MaxLoad::of(
                &candidate.framework,
                &candidate.id,
                &scenario.name,
                trials,
            ));
        }
        Ok(())
    }

    /// One rate; none where the candidate cannot be tried at all.
    async fn trial(
        &mut self,
        search: &MaxLoadSearch,
        session: &Session,
        scenario: &Scenario,
        rate: f64,
        kept: &mut Option<Kept>,
    ) -> Result<Option<Trial>, Halt> {
        if self.job.is_cancelled() {
            return Err(Halt::Cancelled);
        }
        let load = LoadPoint {
            request_rate: Some(rate),
            max_concurrency: None,
        };
        // Millirequests a second: the same rate has the same prompts everywhere.
        let load_index = (rate * 1000.0).round() as usize;
        let index = self.lineup.cell_of(scenario, load_index, load);
        let cell = self.cell(session, index)?;
        if let Some(done) = self
            .rows
            .iter()
            .find(|row| row.key == cell.key && row.is_ok())
        {
            return Ok(Trial::of(done, search.attainment));
        }
        if let Some(failure) = self.reason_not_to_run(session, &cell) {
            let row = self.writer.failed(&cell, &failure);
            self.record(row)?;
            return Ok(None);
        }
        let row = self.measured_row(session, index, &cell, kept).await?;
        let trial = Trial::of(&row, search.attainment);
        // A candidate that does not start fails at every rate.
        let started = row.launch.is_some();
        self.record(row)?;
        Ok(trial.filter(|_| started))
    }
}
