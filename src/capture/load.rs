//! The requests of a recording: warm-up, recorded steps, and not one more than needed.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CaptureError;
use super::payload::{CapturePayload, ServerSource};
use super::request::CapturedStage;
use super::target::Target;
use crate::bench::RunFailure;
use crate::bench::load::{Endpoint, ErrorClass, Live, LoadOutcome, LoadRun};
use crate::engine::Window;

const POLL: Duration = Duration::from_millis(2);
/// Decode steps that requests are prepared for: a profiler may take seconds to
/// start while the engine goes on.
const DECODE_STEPS: u32 = 4096;
const MOST_REQUESTS: u32 = 512;
/// Steps of a request that may pass while the profiler starts and stops.
const SPARE_STEPS: u32 = 64;
/// Requests beyond a range that was fixed at launch, whose first step is not
/// known to the step.
const SURPLUS: u32 = 8;

/// Sends what one stage needs, and starts and stops the profiler in between.
/// Requests that still run are given back where the profiler ends by itself:
/// it does so only while steps go on.
pub async fn record(
    target: &Target,
    payload: &CapturePayload,
    stage: CapturedStage,
    window: Window<'_>,
    purpose: &str,
) -> Result<Option<Sending>, CaptureError> {
    let load = Stage {
        target,
        payload,
        stage,
        purpose,
    };
    let fixed = target.profiler().is_fixed_at_launch();
    match (stage, fixed) {
        (CapturedStage::Prefill, false) => load.prefill(window).await.map(|()| None),
        (CapturedStage::Prefill, true) => {
            let count = window.skipped + window.steps + SURPLUS;
            load.one_by_one(count, "recorded").await.map(|()| None)
        }
        (CapturedStage::Decode, _) => load.decode(window, fixed).await,
    }
}

struct Stage<'a> {
    target: &'a Target,
    payload: &'a CapturePayload,
    stage: CapturedStage,
    purpose: &'a str,
}

impl Stage<'_> {
    async fn prefill(&self, window: Window<'_>) -> Result<(), CaptureError> {
        self.one_by_one(self.payload.warmup_steps, "warm-up")
            .await?;
        self.target.start(window).await?;
        // One request a step is enough, however many steps each takes.
        self.one_by_one(window.steps, "recorded").await?;
        if !self.target.profiler().stops_itself {
            self.target.stop().await?;
        }
        Ok(())
    }

    /// Requests of one output token, each after the one before.
    async fn one_by_one(&self, count: u32, part: &str) -> Result<(), CaptureError> {
        if count == 0 {
            return Ok(());
        }
        let run = self.run(count, (self.payload.lengths.input_len, 1), 1, part)?;
        Sending::begin(run).whole(self.stage).await
    }

    /// One long batch; the profiler starts and stops while it decodes.
    async fn decode(
        &self,
        window: Window<'_>,
        fixed: bool,
    ) -> Result<Option<Sending>, CaptureError> {
        let batch = self.payload.batch;
        // A request that ended before would bring a prefill into the recording.
        let least = window.skipped + window.steps + SPARE_STEPS;
        let output_len = self.payload.lengths.output_len.max(least);
        let rounds = DECODE_STEPS.div_ceil(output_len);
        let count = (rounds * batch).min(MOST_REQUESTS.max(batch));
        let run = self.run(count, (1, output_len), batch, "recorded")?;
        let sending = Sending::begin(run);
        let tokens = |steps: u32| u64::from(steps) * u64::from(batch);
        if fixed {
            let steps = window.skipped + window.steps + SURPLUS;
            sending.until(self.stage, tokens(steps)).await?;
        } else {
            let warm = self.payload.warmup_steps.max(1);
            sending.until(self.stage, tokens(warm)).await?;
            self.target.start(window).await?;
            let reached = sending.tokens() + tokens(window.steps);
            sending.until(self.stage, reached).await?;
            if self.target.profiler().stops_itself {
                return Ok(Some(sending));
            }
            self.target.stop().await?;
        }
        sending.end().await;
        Ok(None)
    }

    fn run(
        &self,
        count: u32,
        lengths: (u32, u32),
        most: u32,
        part: &str,
    ) -> Result<LoadRun, CaptureError> {
        let purpose = format!("{}/{part}", self.purpose);
        let prompts = self
            .payload
            .token_ids
            .prompts(count as usize, lengths, 1, &purpose)
            .map_err(|error| self.failed(&error.to_string()))?;
        let mut run = LoadRun::new(
            self.target.base.clone(),
            Endpoint::Completions,
            self.target.served_name.clone(),
            prompts,
        );
        run.max_concurrency = NonZeroUsize::new(most as usize);
        if let ServerSource::Launch { plan, .. } = &self.payload.source {
            run.extra_body
                .clone_from(&plan.benchmark.extra_request_body);
            run.request_timeout = Duration::from_secs(plan.timeouts.run_s);
        }
        Ok(run)
    }

    fn failed(&self, reason: &str) -> CaptureError {
        failed(self.stage, reason)
    }
}

fn failed(stage: CapturedStage, reason: &str) -> CaptureError {
    CaptureError::Load {
        stage: stage.as_str(),
        reason: reason.to_owned(),
    }
}

/// Requests under way; dropping it ends them.
pub struct Sending {
    live: Arc<Live>,
    stop: Stop,
    task: JoinHandle<Result<LoadOutcome, RunFailure>>,
}

struct Stop(watch::Sender<bool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Sending {
    fn begin(run: LoadRun) -> Self {
        let live = Arc::new(Live::default());
        let (stop, cancel) = watch::channel(false);
        let task = tokio::spawn(crate::bench::drive(run, Arc::clone(&live), cancel));
        Self {
            live,
            stop: Stop(stop),
            task,
        }
    }

    fn tokens(&self) -> u64 {
        self.live.counts().tokens
    }

    /// Waits until so many output tokens came.
    async fn until(&self, stage: CapturedStage, tokens: u64) -> Result<(), CaptureError> {
        loop {
            let counts = self.live.counts();
            if counts.tokens >= tokens {
                return Ok(());
            }
            if counts.failed > 0 {
                return Err(failed(stage, "a request was refused or broke off"));
            }
            if self.task.is_finished() {
                return Err(failed(
                    stage,
                    &format!(
                        "they ended after {} tokens, before {tokens} were seen; a longer output_len gives more",
                        counts.tokens
                    ),
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits for the end of every request, all of which must succeed.
    async fn whole(self, stage: CapturedStage) -> Result<(), CaptureError> {
        // Held until the end: dropping it would end the requests.
        let Self { stop, task, .. } = self;
        let outcome = task.await;
        drop(stop);
        let outcome = outcome
            .map_err(|error| failed(stage, &error.to_string()))?
            .map_err(|error| failed(stage, &error.reason))?;
        let error = outcome
            .samples
            .iter()
            .filter_map(|sample| sample.error.as_ref())
            .find(|error| error.class != ErrorClass::Cancelled);
        match error {
            Some(error) => Err(failed(stage, &error.message)),
            None => Ok(()),
        }
    }

    /// Ends the requests and waits until their connections are closed.
    pub async fn end(self) {
        let Self { stop, task, .. } = self;
        drop(stop);
        // What they got meanwhile is not needed.
        let _ = task.await;
    }
}
