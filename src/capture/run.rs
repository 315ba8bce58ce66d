//! The work of a capture job: launch, record, wait for the files, analyse.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::conclude::conclude;
use super::landing::{Landed, Landing};
use super::payload::{CapturePayload, ServerSource};
use super::record::{CaptureResult, TraceFile};
use super::request::{CapturedStage, Graphs};
use super::target::Target;
use super::{CaptureError, load, space};
use crate::bench::{RowSource, gpus};
use crate::disk::{self, DiskError};
use crate::engine::{self, Window};
use crate::fault::Fault;
use crate::job::{JobHandle, Outcome};
use crate::redact::redact_argv;
use crate::triage::TriageRecord;

/// Runs a capture job to its end. No engine outlives this call.
pub async fn run(mut payload: CapturePayload, job: JobHandle) -> Outcome {
    payload.use_given_gpus();
    let capture = Capture {
        payload,
        job,
        traces: Vec::new(),
        argv: Vec::new(),
        version: None,
        source: None,
        launches: 0,
        warnings: Vec::new(),
    };
    match capture.run().await {
        Ok(result) => match serde_json::to_value(result) {
            Ok(value) => Outcome::Done(value),
            Err(error) => Outcome::Failed(CaptureError::Record(error).into()),
        },
        Err(CaptureError::Cancelled) => Outcome::Cancelled,
        Err(error) => Outcome::Failed(Fault::from(error)),
    }
}

struct Capture {
    payload: CapturePayload,
    job: JobHandle,
    traces: Vec<TraceFile>,
    argv: Vec<String>,
    version: Option<String>,
    source: Option<RowSource>,
    launches: u32,
    warnings: Vec<String>,
}

/// Steps from the launch to the first recorded one where the range is fixed
/// there, beside the warm-up: the readiness request takes a few.
const LAUNCH_STEPS: u32 = 10;

impl Capture {
    async fn run(mut self) -> Result<CaptureResult, CaptureError> {
        let started = Instant::now();
        disk::create_dir(&self.payload.folder)?;
        space::check(&self.payload)?;
        let recordings = self.payload.runs().len() * self.payload.stages.len();
        let analyses = f64::from(u8::from(self.payload.guest_of.is_none()));
        self.job
            .update(|status| status.progress.total = recordings as f64 + analyses);
        let lock = match &self.payload.source {
            ServerSource::Launch { .. } => {
                gpus::take(&self.payload.gpu_ids, None, Duration::ZERO, &self.job).await?
            }
            // Its own processes use the GPUs.
            ServerSource::Url { .. } => gpus::lock(&self.payload.gpu_ids, None, &self.job).await?,
        };
        let Some(_gpus) = lock else {
            return Err(CaptureError::Cancelled);
        };
        for graphs in self.payload.runs() {
            for stages in self.groups()? {
                self.run_group(*graphs, &stages).await?;
            }
        }
        self.finish(started).await
    }

    /// Stages that share a launch: all, or one each where the recorded range
    /// is fixed at launch.
    fn groups(&self) -> Result<Vec<Vec<CapturedStage>>, CaptureError> {
        let engine = engine::engine(&self.payload.engine)?;
        let alone = engine
            .profiler
            .as_ref()
            .is_some_and(engine::Profiler::is_fixed_at_launch);
        let stages = self.payload.stages.clone();
        Ok(if alone {
            stages.into_iter().map(|stage| vec![stage]).collect()
        } else {
            vec![stages]
        })
    }

    /// One server: reached, recorded, left.
    async fn run_group(
        &mut self,
        graphs: Graphs,
        stages: &[CapturedStage],
    ) -> Result<(), CaptureError> {
        let landing = self.landing_dir(graphs, stages)?;
        // A range that is fixed at launch is that of its only stage.
        let first = stages.first().copied().unwrap_or(CapturedStage::Decode);
        let window = self.window(&landing, first);
        self.tell(&format!("{}: starting the server", graphs.as_str()));
        let payload = self.payload.clone();
        let target = tokio::select! {
            target = Target::reach(&payload, graphs, window, &self.job) => target?,
            () = cancelled(&self.job) => return Err(CaptureError::Cancelled),
        };
        if let Some(argv) = target.argv() {
            self.launches += 1;
            if graphs == Graphs::On {
                self.argv = redact_argv(argv);
                self.version = self.payload.version.of_launch(target.version());
                self.source = target.source().cloned();
            }
        }
        let outcome = self.record_all(&target, graphs, stages, &landing).await;
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(target.cause(error).await),
        };
        self.warnings.extend(target.leave().await);
        outcome
    }

    /// Records the stages, while the server's life and a cancellation are watched.
    async fn record_all(
        &mut self,
        target: &Target,
        graphs: Graphs,
        stages: &[CapturedStage],
        landing: &Path,
    ) -> Result<(), CaptureError> {
        for stage in stages {
            let job = self.job.clone();
            tokio::select! {
                outcome = self.record_stage(target, graphs, *stage, landing) => outcome?,
                died = target.died() => return Err(died),
                () = cancelled(&job) => return Err(CaptureError::Cancelled),
            }
        }
        Ok(())
    }

    async fn record_stage(
        &mut self,
        target: &Target,
        graphs: Graphs,
        stage: CapturedStage,
        landing: &Path,
    ) -> Result<(), CaptureError> {
        let window = self.window(landing, stage);
        let what = format!("{} {}", graphs.as_str(), stage.as_str());
        // The clocks of file systems are coarser than this one.
        let since = SystemTime::now() - Duration::from_millis(20);
        self.tell(&format!("{what}: recording {} steps", self.payload.steps));
        let purpose = format!("{}/{what}", self.job.id());
        let under_way = load::record(target, &self.payload, stage, window, &purpose).await?;
        self.tell(&format!("{what}: waiting for whole trace files"));
        let landing = Landing {
            dir: window.dir,
            since,
            ranks: self.payload.ranks.min(self.payload.world()),
            limit: Duration::from_secs(self.payload.trace_timeout_s.into()),
            what,
        };
        let landed = target.collect(&landing).await?;
        if let Some(under_way) = under_way {
            under_way.end().await;
        }
        target.check_sources()?;
        let dir = self.payload.stage_dir(graphs, stage);
        disk::create_dir(&dir)?;
        target.keep_info(&dir).await?;
        for file in landed {
            let kept = self.take_in(&file, &dir)?;
            self.traces.push(TraceFile {
                stage,
                graphs,
                rank: file.rank,
                path: kept,
                bytes: file.bytes,
            });
        }
        self.job.update(|status| status.progress.done += 1.0);
        Ok(())
    }

    /// Moves a trace to its place; what lies in a running server's own folder
    /// is copied.
    fn take_in(&self, file: &Landed, dir: &Path) -> Result<PathBuf, DiskError> {
        let name = file.path.file_name().unwrap_or_default();
        let kept = dir.join(name);
        if file.path.starts_with(self.job.dir()) {
            disk::move_file(&file.path, &kept)?;
        } else {
            disk::copy_file(&file.path, &kept)?;
        }
        Ok(kept)
    }

    /// Where the engine is told to write.
    fn landing_dir(
        &self,
        graphs: Graphs,
        stages: &[CapturedStage],
    ) -> Result<PathBuf, CaptureError> {
        if let ServerSource::Url {
            trace_dir: Some(dir),
            ..
        } = &self.payload.source
        {
            return Ok(dir.clone());
        }
        let name = match stages {
            [only] => format!("{}-{}", graphs.as_str(), only.as_str()),
            _ => graphs.as_str().to_owned(),
        };
        let dir = self.job.dir().join("landing").join(name);
        disk::create_dir(&dir)?;
        if matches!(self.payload.source, ServerSource::Url { .. }) {
            use std::os::unix::fs::PermissionsExt;
            // The server may run as another user.
            let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o777));
        }
        Ok(dir)
    }

    fn window<'a>(&self, dir: &'a Path, stage: CapturedStage) -> Window<'a> {
        let profiler = engine::engine(&self.payload.engine)
            .ok()
            .and_then(|engine| engine.profiler.as_ref());
        let guard = profiler.map_or(0, |profiler| profiler.guard_steps);
        let factor = match stage {
            CapturedStage::Prefill => profiler.map_or(1, |profiler| profiler.steps_of_a_prefill),
            CapturedStage::Decode => 1,
        };
        Window {
            dir,
            skipped: self.payload.warmup_steps + LAUNCH_STEPS,
            steps: self.payload.steps * factor + guard,
        }
    }

    async fn finish(self, started: Instant) -> Result<CaptureResult, CaptureError> {
        let recorded = CaptureResult {
            traces: self.traces.clone(),
            server_argv: self.argv.clone(),
            framework_version: self.version.clone(),
            source: self.source.clone(),
            launches: self.launches,
            wall_s: started.elapsed().as_secs_f64(),
            report_json: PathBuf::new(),
            digest_path: None,
            warnings: self.warnings.clone(),
            analysis: TriageRecord::default(),
        };
        // The landing folder held nothing but what was moved.
        let _ = fs::remove_dir_all(self.job.dir().join("landing"));
        if self.payload.guest_of.is_some() {
            return Ok(recorded);
        }
        self.tell("analysing the traces");
        let (payload, id) = (self.payload.clone(), self.job.id().to_owned());
        let concluded =
            tokio::task::spawn_blocking(move || conclude(&payload, recorded, &id)).await;
        self.job.update(|status| status.progress.done += 1.0);
        concluded.unwrap_or_else(|error| {
            Err(CaptureError::invalid(
                format!("the analysis stopped unexpectedly: {error}"),
                "this is a defect of sota-loop; please report it",
            ))
        })
    }

    fn tell(&self, what: &str) {
        let title = self.payload.title();
        self.job
            .update(|status| status.message = format!("{title}: {what}"));
    }
}

async fn cancelled(job: &JobHandle) {
    let mut flag = job.cancellation();
    // A job whose sender is gone is ending anyway.
    if flag.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}
