//! One scenario run: prompts, flush, warm-up, load, metrics.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::failure::{RunFailure, UNDER_LOAD};
use super::live_run::LiveRun;
use super::load::{Arrivals, Live, LoadOutcome, LoadRun, Sampling, write_samples};
use super::metrics::{Metrics, SloLimits, summarize};
use super::plan::{LoadPoint, Plan, Scenario};
use super::prompts::Prompts;
use super::row::RowStatus;
use super::server::{Server, drive, load_endpoint};
use super::session::Phase;
use super::warmup::{Warmup, warm_up};
use super::watch::{About, Watch};
use super::workload::workload_sha256;
use crate::engine::Counts;
use crate::job::JobHandle;
use crate::launch::{GpuMeter, GpuReading, GpuTelemetry};
use crate::sha256;

/// One cell of a session.
#[derive(Debug)]
pub struct RunSpec<'a> {
    pub plan: &'a Plan,
    pub prompts: &'a Prompts,
    pub scenario: &'a Scenario,
    pub load: LoadPoint,
    /// Position of the load in the plan's list.
    pub load_index: usize,
    pub phase: Phase,
    pub repeat: u32,
    /// For progress messages.
    pub title: String,
    pub framework: &'a str,
    pub candidate_id: &'a str,
    /// Where the raw samples go.
    pub raw: PathBuf,
}

/// What a run gave.
#[derive(Debug)]
pub struct Measured {
    pub metrics: Metrics,
    pub warmup: Warmup,
    pub flushed: Option<bool>,
    pub run_s: f64,
    /// What the server itself counted over the run.
    pub server_counts: Option<Counts>,
    pub gpu: Option<GpuTelemetry>,
    /// Where the run's timeline is.
    pub timeline: Option<PathBuf>,
    pub workload_sha256: String,
    pub warnings: Vec<String>,
}

const TICK: Duration = Duration::from_millis(500);
/// From broken connections to the end of the process that broke them.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// The server's own token count may differ by this share before it is reported.
const TOKEN_TOLERANCE: f64 = 0.01;

/// Warms up, then measures one scenario at one load.
pub async fn measure(
    server: &Server,
    spec: &RunSpec<'_>,
    job: &JobHandle,
) -> Result<Measured, RunFailure> {
    let purpose = format!(
        "{}/{}/{:?}/{}",
        spec.scenario.name, spec.load_index, spec.phase, spec.repeat
    );
    let prompts = spec.prompts.measured(spec.scenario, &purpose)?;
    let workload_sha256 = workload_sha256(&prompts);
    let mut run = load_run(server, spec)?;
    job.update(|status| status.message = format!("{}: warming up", spec.title));
    let warmup = warm_up(
        server,
        &run,
        |pass| spec.prompts.warm_up(spec.scenario, &purpose, pass),
        job.cancellation(),
    )
    .await?;
    let flushed = server.flush().await;
    let before = server.counts().await;
    run.prompts = prompts;
    run.arrival_seed = arrival_seed(spec.plan.sampling.seed, &purpose);
    run.arrivals = Arrivals {
        rate: spec.load.request_rate,
        burstiness: spec.plan.benchmark.burstiness.0,
    };
    run.max_concurrency = spec
        .load
        .max_concurrency
        .and_then(|most| NonZeroUsize::new(most as usize));
    let names = [spec.framework, spec.candidate_id, &spec.scenario.name];
    let about = About::of(server, &run, names);
    let meter = GpuMeter::start(&spec.plan.hardware.gpu_ids);
    let watch = Watch::start(server);
    let started = Instant::now();
    let outcome = under_watch(server, spec, run, meter.as_ref(), job).await;
    let run_s = started.elapsed().as_secs_f64();
    let seen = watch.end().await;
    let readings = gpu_readings(meter, &spec.raw)?;
    let gpu = GpuTelemetry::of(&readings);
    let outcome = outcome?;
    keep(&spec.raw, &outcome)?;
    let after = server.counts().await;
    let mut metrics = summarize(&outcome, &limits(spec.plan));
    metrics.row.joules_per_output_token = joules_per_output_token(gpu.as_ref(), &metrics);
    let timeline = seen
        .timeline(&about, &outcome, &readings, &spec.raw)
        .map_err(|error| RunFailure::failed(error.to_string()))?;
    let mut measured = Measured {
        metrics,
        warmup,
        flushed,
        run_s,
        server_counts: before
            .zip(after)
            .map(|(before, after)| after.since(&before)),
        gpu,
        timeline,
        workload_sha256,
        warnings: Vec::new(),
    };
    measured.judge(&outcome, server).await?;
    Ok(measured)
}

/// Ends the telemetry of a run and keeps its readings beside the samples.
fn gpu_readings(meter: Option<GpuMeter>, raw: &Path) -> Result<Vec<GpuReading>, RunFailure> {
    let readings = meter.map(GpuMeter::finish).unwrap_or_default();
    if !readings.is_empty() {
        let lines: Vec<String> = readings
            .iter()
            .filter_map(|reading| serde_json::to_string(reading).ok())
            .collect();
        let name = raw.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split(".jsonl").next().unwrap_or_default();
        let path = raw.with_file_name(format!("{name}.gpu.jsonl"));
        crate::disk::write_atomic(&path, format!("{}\n", lines.join("\n")).as_bytes())
            .map_err(|error| RunFailure::failed(error.to_string()))?;
    }
    Ok(readings)
}

fn joules_per_output_token(gpu: Option<&GpuTelemetry>, metrics: &Metrics) -> Option<f64> {
    let tokens = metrics.extras.output_tokens.as_ref()?.total;
    let joules = gpu?.energy_j?;
    (tokens > 0).then(|| joules / tokens as f64)
}

/// Each repeat has arrivals of its own, so that its interval shows what they
/// change; every engine has the same in one repeat.
fn arrival_seed(seed: u64, purpose: &str) -> u64 {
    let hash = sha256::hex(format!("{seed}/arrivals/{purpose}").as_bytes());
    hash.get(..16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or(seed)
}

fn load_run(server: &Server, spec: &RunSpec<'_>) -> Result<LoadRun, RunFailure> {
    let plan = spec.plan;
    let mut run = LoadRun::new(
        server.base.clone(),
        load_endpoint(plan)?,
        plan.model.served_name(),
        Vec::new(),
    );
    run.sampling = Sampling {
        temperature: Some(plan.sampling.temperature),
        ignore_eos: plan.sampling.ignore_eos,
        seed: Some(plan.sampling.seed),
    };
    run.extra_body = plan.benchmark.extra_request_body.clone();
    run.request_timeout = Duration::from_secs(plan.timeouts.run_s);
    Ok(run)
}

fn limits(plan: &Plan) -> SloLimits {
    let sla = &plan.sla;
    SloLimits {
        max_p50_ttft_ms: sla.max_p50_ttft_ms,
        max_p50_tpot_ms: sla.max_p50_tpot_ms,
        max_p99_ttft_ms: sla.max_p99_ttft_ms,
        max_p99_tpot_ms: sla.max_p99_tpot_ms,
        min_success_rate: Some(sla.min_success_rate),
    }
}

/// Drives the load while the server's life, the time limit and a cancellation
/// are watched.
async fn under_watch(
    server: &Server,
    spec: &RunSpec<'_>,
    run: LoadRun,
    meter: Option<&GpuMeter>,
    job: &JobHandle,
) -> Result<LoadOutcome, RunFailure> {
    let live = Arc::new(Live::default());
    let (stop, cancel) = tokio::sync::watch::channel(false);
    let total = run.prompts.len();
    let driven = drive(run, Arc::clone(&live), cancel);
    tokio::pin!(driven);
    let mut job_cancelled = job.cancellation();
    let limit = spec.plan.timeouts.run_s;
    let deadline = tokio::time::sleep(Duration::from_secs(limit));
    tokio::pin!(deadline);
    let mut tick = tokio::time::interval(TICK);
    let mut teller = Teller::new(spec, total, meter);
    let failure = loop {
        tokio::select! {
            outcome = &mut driven => return outcome,
            ended = server.ended() => {
                break RunFailure::died(&ended, UNDER_LOAD, &server.log);
            }
            () = &mut deadline => break RunFailure::of(
                RowStatus::Timeout,
                format!("the run did not end within {limit} s"),
            ),
            _ = job_cancelled.wait_for(|cancelled| *cancelled) => {
                break RunFailure::cancelled();
            }
            _ = tick.tick() => teller.tell(&live, job),
        }
    };
    stop.send_replace(true);
    if let Ok(outcome) = driven.await {
        // The samples so far are evidence of the failure; losing them is not fatal.
        let _ = keep(&spec.raw, &outcome);
    }
    Err(failure)
}

/// Puts a run's live numbers into the job's status.
struct Teller<'a> {
    spec: &'a RunSpec<'a>,
    total: usize,
    started: Instant,
    /// When it last told, and the tokens until then.
    last: (Instant, u64),
    meter: Option<&'a GpuMeter>,
}

impl<'a> Teller<'a> {
    fn new(spec: &'a RunSpec<'a>, total: usize, meter: Option<&'a GpuMeter>) -> Self {
        let now = Instant::now();
        Self {
            spec,
            total,
            started: now,
            last: (now, 0),
            meter,
        }
    }

    fn tell(&mut self, live: &Live, job: &JobHandle) {
        let counts = live.counts();
        let now = Instant::now();
        let seconds = now.duration_since(self.last.0).as_secs_f64();
        let tokens = counts.tokens.saturating_sub(self.last.1);
        self.last = (now, counts.tokens);
        let elapsed_s = self.started.elapsed().as_secs_f64();
        let numbers = LiveRun {
            run: self.spec.title.clone(),
            total: self.total,
            elapsed_s,
            requests_per_s: counts.done as f64 / elapsed_s.max(1e-3),
            tokens_per_s: tokens as f64 / seconds.max(1e-3),
            counts,
            gpus: self.meter.map(GpuMeter::latest).unwrap_or_default(),
        };
        job.update(|status| {
            status.message = format!(
                "{}: {} of {} requests done, {} decoding, {} tokens",
                numbers.run, counts.done, numbers.total, counts.decoding, counts.tokens
            );
            status.live = json!(numbers);
        });
    }
}

fn keep(path: &Path, outcome: &LoadOutcome) -> Result<(), RunFailure> {
    write_samples(path, &outcome.samples).map_err(|error| RunFailure::failed(error.to_string()))
}

impl Measured {
    /// Turns a run without a success into a failure, and notes what is odd.
    async fn judge(&mut self, outcome: &LoadOutcome, server: &Server) -> Result<(), RunFailure> {
        let failed = outcome.samples.iter().filter(|sample| !sample.is_ok());
        if failed.clone().count() > 0 {
            // Broken connections are seen before the process is gone.
            if let Ok(ended) = tokio::time::timeout(LAST_BREATH, server.ended()).await {
                return Err(RunFailure::died(&ended, UNDER_LOAD, &server.log));
            }
            if let Some(failure) = RunFailure::out_of_memory(&server.log) {
                return Err(failure);
            }
        }
        if outcome.samples.iter().all(|sample| !sample.is_ok()) {
            let first = failed.clone().find_map(|sample| sample.error.as_ref());
            return Err(RunFailure::failed(format!(
                "no request succeeded: {}",
                first.map_or("no answer", |error| error.message.as_str())
            )));
        }
        self.warnings
            .extend(self.metrics.extras.client.warnings.iter().cloned());
        if self.warmup.settled == Some(false) {
            self.warnings.push(format!(
                "{} warm-up passes did not agree within 5%",
                self.warmup.passes
            ));
        }
        let own: u64 = outcome
            .samples
            .iter()
            .filter_map(|sample| sample.output_tokens)
            .sum();
        if let Some(theirs) = self
            .server_counts
            .and_then(|counts| counts.generation_tokens)
            && (theirs - own as f64).abs() > TOKEN_TOLERANCE * own as f64
        {
            self.warnings.push(format!(
                "the server counted {theirs:.0} generated tokens, the client {own}"
            ));
        }
        Ok(())
    }
}
