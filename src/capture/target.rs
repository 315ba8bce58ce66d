//! The server that is profiled: reached, started and stopped as a profiler.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::CaptureError;
use super::landing::{self, Landed, Landing};
use super::payload::{CapturePayload, ServerSource};
use super::request::Graphs;
use crate::bench::plan::{Framework, Plan};
use crate::bench::{self, RowSource, RunFailure, Server, ServerSpec, Sources, ready_sources};
use crate::disk;
use crate::engine::{self, Engine, Profiler, Window};
use crate::http::{self, Base, HttpError, Limits};
use crate::job::JobHandle;
use crate::launch::Ended;

/// The server of one run.
#[derive(Debug)]
pub struct Target {
    pub base: Base,
    pub served_name: String,
    profiler: &'static Profiler,
    server: Option<Server>,
    sources: Option<Sources>,
    /// Between a start that was answered and a stop.
    recording: AtomicBool,
    stop_limit: Duration,
    /// The folder of the traces as the server sees it.
    trace_dir: PathBuf,
}

const QUESTION: Limits = Limits {
    time: Duration::from_secs(10),
    body: 16 << 20,
};
/// Starting a profiler waits for the step under way and loads its libraries.
const START: Duration = Duration::from_secs(120);
/// From a broken connection to the end of the process that broke it.
const LAST_BREATH: Duration = Duration::from_secs(2);

impl Target {
    /// Launches the command with the profiler's flags, or reaches the URL.
    /// `window` names the folder of the traces.
    pub async fn reach(
        payload: &CapturePayload,
        graphs: Graphs,
        window: Window<'_>,
        job: &JobHandle,
    ) -> Result<Self, CaptureError> {
        let engine = engine::engine(&payload.engine)?;
        let profiler = engine
            .profiler
            .as_ref()
            .ok_or_else(|| CaptureError::UnknownProfiler {
                engine: payload.engine.clone(),
            })?;
        let mut target = match &payload.source {
            ServerSource::Launch { .. } => {
                let launched = launch(payload, engine, profiler, graphs, window, job).await?;
                let Launched {
                    server,
                    sources,
                    trace_dir,
                } = launched;
                Self {
                    trace_dir,
                    base: server.base.clone(),
                    served_name: String::new(),
                    profiler,
                    server: Some(server),
                    sources,
                    recording: AtomicBool::new(false),
                    stop_limit: Duration::ZERO,
                }
            }
            ServerSource::Url { url, .. } => Self {
                trace_dir: window.dir.to_path_buf(),
                base: Base::resolve(url).await?,
                served_name: String::new(),
                profiler,
                server: None,
                sources: None,
                recording: AtomicBool::new(false),
                stop_limit: Duration::ZERO,
            },
        };
        target.stop_limit = Duration::from_secs(payload.trace_timeout_s.into());
        target.served_name = target.name(payload).await?;
        Ok(target)
    }

    async fn name(&self, payload: &CapturePayload) -> Result<String, CaptureError> {
        match &payload.source {
            ServerSource::Launch { plan, .. } => Ok(plan.model.served_name().to_owned()),
            ServerSource::Url {
                served_name: Some(name),
                ..
            } => Ok(name.clone()),
            ServerSource::Url { .. } => {
                let reply = http::get(&self.base, "/v1/models", QUESTION).await?;
                let list: serde_json::Value = reply.success()?.json()?;
                let name = list["data"][0]["id"].as_str();
                name.map(str::to_owned).ok_or_else(|| {
                    CaptureError::invalid(
                        format!("{} lists no model", self.base.url("/v1/models")),
                        "wait until the server is ready, then capture again",
                    )
                })
            }
        }
    }

    pub fn profiler(&self) -> &'static Profiler {
        self.profiler
    }

    /// The command of a launched server.
    pub fn argv(&self) -> Option<&[String]> {
        self.server.as_ref().map(|server| server.argv.as_slice())
    }

    /// The version that a launched server tells.
    pub fn version(&self) -> Option<&str> {
        self.server.as_ref()?.settings.version.as_deref()
    }

    /// Starts recording. Engines whose range is fixed at launch need no start.
    pub async fn start(&self, window: Window<'_>) -> Result<(), CaptureError> {
        let Some(path) = &self.profiler.start_path else {
            return Ok(());
        };
        let limits = Limits {
            time: START,
            ..QUESTION
        };
        let body = self.profiler.start_body(Window {
            dir: &self.trace_dir,
            ..window
        });
        // From here on a stop is due, whatever the answer.
        self.recording.store(true, Ordering::Release);
        let reply = http::post_json(&self.base, path, body, limits).await?;
        if reply.is_success() {
            return Ok(());
        }
        self.recording.store(false, Ordering::Release);
        let url = self.base.url(path);
        Err(match reply.status {
            404 | 405 => CaptureError::NoRoute {
                url,
                status: reply.status,
                hint: self.route_hint(),
            },
            status => CaptureError::StartRefused {
                url,
                status,
                body: beginning(&reply.text()),
            },
        })
    }

    fn route_hint(&self) -> String {
        let needs = self.profiler.launch_hint();
        match (&self.server, needs.is_empty()) {
            (None, false) => format!("start the server with {needs}"),
            (Some(_), false) => {
                format!("this version does not know {needs}; its log and --help say more")
            }
            _ => "this version of the engine has none; use one that has".to_owned(),
        }
    }

    /// Waits for the traces of a recording. A profiler that ends by itself is
    /// stopped only when they do not come: it answers with an error, and logs
    /// one, when it has ended.
    pub async fn collect(&self, landing: &Landing<'_>) -> Result<Vec<Landed>, CaptureError> {
        match landing.wait().await {
            Err(incomplete) if self.profiler.stops_itself => match self.stop().await {
                Ok(true) => landing.wait().await,
                _ => Err(incomplete),
            },
            landed => {
                self.recording.store(false, Ordering::Release);
                landed
            }
        }
    }

    /// Ends recording, which the engine then writes. False where nothing was
    /// recording, as far as the engine says.
    pub async fn stop(&self) -> Result<bool, CaptureError> {
        let Some(path) = &self.profiler.stop_path else {
            return Ok(false);
        };
        if !self.recording.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        let limits = Limits {
            time: self.stop_limit,
            ..QUESTION
        };
        match http::post_json(&self.base, path, "", limits).await {
            Ok(reply) if reply.is_success() => Ok(true),
            Ok(_) if self.profiler.stops_itself => Ok(false),
            Ok(reply) => Err(CaptureError::StopRefused {
                url: self.base.url(path),
                status: reply.status,
                body: beginning(&reply.text()),
            }),
            // Writing goes on; the wait for whole files has a limit of its own.
            Err(HttpError::Timeout { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the server's own account of its arguments beside the traces.
    pub async fn keep_info(&self, dir: &Path) -> Result<(), CaptureError> {
        let Some(path) = &self.profiler.info_path else {
            return Ok(());
        };
        // Without it the analysis only knows less.
        if let Ok(reply) = http::get(&self.base, path, QUESTION).await
            && reply.is_success()
        {
            let text = crate::redact::redact(&reply.text()).into_owned();
            disk::write_atomic(&dir.join("server_args.json"), text.as_bytes())?;
        }
        Ok(())
    }

    /// Waits until a launched server ends by itself; for ever where it was
    /// not launched.
    pub async fn died(&self) -> CaptureError {
        match &self.server {
            Some(server) => fell(server, &server.ended().await),
            None => std::future::pending().await,
        }
    }

    /// The checkout that a launched server runs.
    pub fn source(&self) -> Option<&RowSource> {
        self.sources.as_ref().map(|sources| &sources.row)
    }

    /// Refuses a recording during which the sources of the server changed.
    pub fn check_sources(&self) -> Result<(), CaptureError> {
        let log = self
            .server
            .as_ref()
            .map_or_else(PathBuf::new, |server| server.log.clone());
        match self.sources.as_ref().map_or(Ok(()), Sources::unchanged) {
            Ok(()) => Ok(()),
            Err(failure) => Err(CaptureError::of_server(failure, &log)),
        }
    }

    /// What a failure comes from: a server that ended breaks connections first.
    pub async fn cause(&self, error: CaptureError) -> CaptureError {
        if matches!(error, CaptureError::Cancelled) {
            return error;
        }
        match tokio::time::timeout(LAST_BREATH, self.died()).await {
            Ok(died) => died,
            Err(_) => error,
        }
    }

    /// Ends recording where it goes on, and a launched server. Returns what is
    /// worth telling.
    pub async fn leave(self) -> Option<String> {
        if self.server.is_none() {
            // A running server must not be left recording.
            let _ = self.stop().await;
        }
        let server = self.server?;
        let log = server.log.display().to_string();
        let ended = server.stop().await?;
        ended
            .killed
            .then(|| format!("the server ignored SIGTERM and was killed ({log})"))
    }
}

fn fell(server: &Server, ended: &Ended) -> CaptureError {
    let failure = RunFailure::died(ended, "while it was profiled", &server.log);
    CaptureError::of_server(failure, &server.log)
}

/// A server that was launched as a profiler.
struct Launched {
    server: Server,
    sources: Option<Sources>,
    trace_dir: PathBuf,
}

async fn launch(
    payload: &CapturePayload,
    engine: &'static Engine,
    profiler: &Profiler,
    graphs: Graphs,
    window: Window<'_>,
    job: &JobHandle,
) -> Result<Launched, CaptureError> {
    let ServerSource::Launch { plan, candidate } = &payload.source else {
        return Err(CaptureError::invalid("no command to launch", ""));
    };
    let mut framework = plan
        .frameworks
        .get(&payload.framework)
        .cloned()
        .ok_or_else(|| bench::BenchError::NoSuchFramework(payload.framework.clone()))?;
    let trace_dir = seen_by(plan, &framework, window.dir, job).await?;
    let window = Window {
        dir: &trace_dir,
        ..window
    };
    framework.env.extend(profiler.launch_env(window));
    let mut candidate = candidate.clone();
    candidate.flags.extend(profiler.launch_flags(window));
    if graphs == Graphs::Off {
        candidate.flags.extend(profiler.graphs_off_flags.clone());
    }
    let log: PathBuf = job
        .dir()
        .join(format!("server-{}.log", landing::file_name(&trace_dir)));
    let mut spec = ServerSpec {
        plan,
        framework: &framework,
        engine,
        candidate: &candidate,
        log: log.clone(),
        further_env: indexmap::IndexMap::new(),
        cwd: None,
    };
    let failed = |failure| CaptureError::of_server(failure, &log);
    let sources = ready_sources(&mut spec, job).await.map_err(failed)?;
    let server = Server::launch(&spec, job).await.map_err(failed)?;
    Ok(Launched {
        server,
        sources,
        trace_dir,
    })
}

/// Where the framework's server, which may run in a container, sees a folder.
async fn seen_by(
    plan: &Plan,
    framework: &Framework,
    dir: &Path,
    job: &JobHandle,
) -> Result<PathBuf, CaptureError> {
    let container = bench::container_of(plan, framework, job)
        .await
        .map_err(bench::BenchError::from)?;
    match container {
        None => Ok(dir.to_path_buf()),
        Some(container) => container.inside(dir).ok_or_else(|| {
            CaptureError::invalid(
                format!(
                    "no mount of the container has {}, where the traces are to go",
                    dir.display()
                ),
                "start the container with the workspace mounted, or name an image, which gets the folder by itself",
            )
        }),
    }
}

/// The start of an answer, on one line.
fn beginning(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}
