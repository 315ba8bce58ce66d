//! One candidate's server: launched, ready, and in the end gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::candidate::Candidate;
use super::container::container_of;
use super::failure::{BEFORE_READY, RunFailure};
use super::load::{self, LoadRun};
use super::plan::{Framework, Plan};
use super::workload::{Input, Prompt};
use crate::engine::{
    self, Counts, Endpoint, Engine, EngineError, Entry, EntryRequest, LaunchRequest, Settings,
};
use crate::http::{self, Base, Limits};
use crate::job::JobHandle;
use crate::launch::{self, CommandSpec, Ended, Running, Tail};

/// What is needed to launch a candidate.
#[derive(Debug)]
pub struct ServerSpec<'a> {
    pub plan: &'a Plan,
    pub framework: &'a Framework,
    pub engine: &'static Engine,
    pub candidate: &'a Candidate,
    pub log: PathBuf,
    /// Set on top of the framework's own environment, which wins.
    pub further_env: IndexMap<String, String>,
    pub cwd: Option<PathBuf>,
}

/// A server that answers requests.
#[derive(Debug)]
pub struct Server {
    pub engine: &'static Engine,
    pub base: Base,
    pub argv: Vec<String>,
    /// What was really started: `argv`, or the client of a container with it.
    pub command: Vec<String>,
    pub log: PathBuf,
    pub ready_s: f64,
    /// What the server says of itself once it is up.
    pub settings: Settings,
    /// From the polite signal to the kill.
    pub patience: Duration,
    /// None: it was running before, and goes on.
    running: Option<Running>,
}

const POLL: Duration = Duration::from_millis(200);
const QUESTION: Limits = Limits {
    time: Duration::from_secs(10),
    body: 16 << 20,
};

/// The engine that speaks for a framework of the plan.
pub fn engine_of(name: &str, framework: &Framework) -> Result<&'static Engine, EngineError> {
    engine::engine(framework.engine.as_deref().unwrap_or(name))
}

/// How a framework of the plan is started where it runs.
pub fn entry_of(name: &str, framework: &Framework) -> Result<Entry, EngineError> {
    let python = framework
        .interpreter()
        .map(|path| path.display().to_string());
    let request = EntryRequest {
        framework: name,
        command: framework.command.as_deref(),
        python: python.as_deref(),
        elsewhere: framework.executor().in_container() || framework.executor().is_remote(),
    };
    engine::find_entry(engine_of(name, framework)?, &request)
}

/// The command line of a candidate at a port; empty where the plan gives the
/// URL of a running server.
pub fn argv(
    plan: &Plan,
    framework: &Framework,
    candidate: &Candidate,
    port: u16,
) -> Result<Vec<String>, EngineError> {
    if framework.url.is_some() {
        return Ok(Vec::new());
    }
    let entry = entry_of(&candidate.framework, framework)?;
    let request = LaunchRequest {
        framework: &candidate.framework,
        entry: &entry,
        model: plan.model.path(),
        served_name: plan.model.served_name(),
        tokenizer: plan.model.tokenizer.as_deref(),
        revision: plan.model.revision.as_deref(),
        trust_remote_code: plan.model.trust_remote_code,
        max_context: plan.model.max_context,
        gpu_count: plan.hardware.gpu_count,
        flags: &candidate.flags,
    };
    let endpoint = Endpoint {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
    };
    let engine = engine_of(&candidate.framework, framework)?;
    engine::argv(engine, &request, &endpoint)
}

/// The environment that a candidate's server gets on top of ours.
pub fn environment(plan: &Plan, framework: &Framework) -> IndexMap<String, String> {
    let mut env = framework.env.clone();
    if !plan.hardware.gpu_ids.is_empty() {
        let ids: Vec<String> = plan.hardware.gpu_ids.iter().map(u32::to_string).collect();
        env.entry("CUDA_VISIBLE_DEVICES".to_owned())
            .or_insert_with(|| ids.join(","));
        // Otherwise CUDA counts by speed, and an index means another GPU.
        env.entry("CUDA_DEVICE_ORDER".to_owned())
            .or_insert_with(|| "PCI_BUS_ID".to_owned());
    }
    for name in &framework.env_from {
        if let Ok(value) = std::env::var(name) {
            env.insert(name.clone(), value);
        }
    }
    env
}

/// From the polite signal to the kill: what the plan allows, and no longer
/// than the engine can make use of.
fn patience(spec: &ServerSpec<'_>) -> Duration {
    let allowed = spec.plan.timeouts.stop_s;
    Duration::from_secs(
        spec.engine
            .polite_stop_s
            .map_or(allowed, |most| most.min(allowed)),
    )
}

impl Server {
    /// Launches the candidate and waits until it answers a request.
    pub async fn launch(spec: &ServerSpec<'_>, job: &JobHandle) -> Result<Self, RunFailure> {
        let started = Instant::now();
        let mut server = match &spec.framework.url {
            Some(url) => Self::attach(spec, url).await?,
            None => Self::start(spec, job).await?,
        };
        match server.become_ready(spec, job, started).await {
            Ok(()) => {
                server.ready_s = started.elapsed().as_secs_f64();
                server.settings = engine::settings(server.engine, &server.base, QUESTION).await;
                Ok(server)
            }
            Err(failure) => {
                server.stop().await;
                Err(failure)
            }
        }
    }

    async fn start(spec: &ServerSpec<'_>, job: &JobHandle) -> Result<Self, RunFailure> {
        let port = port_of(spec.candidate)?;
        let argv = argv(spec.plan, spec.framework, spec.candidate, port)
            .map_err(|error| RunFailure::failed(error.to_string()))?;
        let mut env = spec.further_env.clone();
        env.extend(environment(spec.plan, spec.framework));
        let command = CommandSpec {
            argv: argv.clone(),
            env,
            cwd: spec.cwd.clone(),
            log: spec.log.clone(),
            stop: patience(spec),
        };
        let refuse = |error: launch::LaunchError| RunFailure::failed(error.to_string());
        let container = container_of(spec.plan, spec.framework, job)
            .await
            .map_err(refuse)?;
        let running = Running::start_in(container.as_ref(), command)
            .await
            .map_err(refuse)?;
        let base = Base::at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Self {
            command: match container {
                Some(_) => running.command().to_vec(),
                None => argv.clone(),
            },
            argv,
            running: Some(running),
            ..Self::at(spec, base)
        })
    }

    /// Reaches a server that somebody else started.
    async fn attach(spec: &ServerSpec<'_>, url: &str) -> Result<Self, RunFailure> {
        let base = Base::resolve(url)
            .await
            .map_err(|error| RunFailure::failed(error.to_string()))?;
        Ok(Self::at(spec, base))
    }

    fn at(spec: &ServerSpec<'_>, base: Base) -> Self {
        Self {
            engine: spec.engine,
            base,
            argv: Vec::new(),
            command: Vec::new(),
            log: spec.log.clone(),
            ready_s: 0.0,
            settings: Settings::default(),
            patience: patience(spec),
            running: None,
        }
    }

    async fn become_ready(
        &self,
        spec: &ServerSpec<'_>,
        job: &JobHandle,
        started: Instant,
    ) -> Result<(), RunFailure> {
        let limit = spec.plan.timeouts.ready_s;
        let mut cancelled = job.cancellation();
        tokio::select! {
            ended = self.ended() => {
                Err(RunFailure::died(&ended, BEFORE_READY, &self.log))
            }
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(RunFailure::cancelled()),
            () = tokio::time::sleep(Duration::from_secs(limit)) => {
                Err(RunFailure::never_ready(limit, &self.log))
            }
            answer = self.first_answer(spec, job, started) => answer,
        }
    }

    /// Polls readiness, checks the served model, then asks for one token.
    async fn first_answer(
        &self,
        spec: &ServerSpec<'_>,
        job: &JobHandle,
        started: Instant,
    ) -> Result<(), RunFailure> {
        let mut tail = Tail::new(&self.log);
        let mut stage = "starting";
        let name = format!("{} {}", spec.candidate.framework, spec.candidate.id);
        loop {
            for line in tail.lines() {
                stage = engine::stage_of(self.engine, &line).unwrap_or(stage);
            }
            job.update(|status| {
                status.message =
                    format!("{name}: {stage}, {:.0} s", started.elapsed().as_secs_f64());
            });
            let limits = Limits {
                time: Duration::from_secs(2),
                ..QUESTION
            };
            let health = http::get(&self.base, &self.engine.ready_path, limits).await;
            if health.is_ok_and(|reply| reply.is_success()) {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.check_model(spec.plan).await?;
        self.one_token(spec.plan).await
    }

    async fn check_model(&self, plan: &Plan) -> Result<(), RunFailure> {
        if self.engine.serves_any_name {
            return Ok(());
        }
        let wanted = plan.model.served_name();
        match engine::served_models(&self.base, QUESTION).await {
            Some(names) if !names.is_empty() && !names.iter().any(|name| name == wanted) => {
                Err(RunFailure::failed(format!(
                    "the server serves {}, not `{wanted}`; set model.served_name",
                    names.join(", ")
                )))
            }
            _ => Ok(()),
        }
    }

    async fn one_token(&self, plan: &Plan) -> Result<(), RunFailure> {
        let endpoint = load_endpoint(plan)?;
        let input = match endpoint {
            load::Endpoint::Chat => Input::Text("ready?".to_owned()),
            _ => Input::Ids(vec![100, 101, 102, 103]),
        };
        let prompt = Prompt {
            input,
            output_len: 1,
        };
        let mut run = LoadRun::new(
            self.base.clone(),
            endpoint,
            plan.model.served_name(),
            vec![prompt],
        );
        run.extra_body = plan.benchmark.extra_request_body.clone();
        let (_keep, cancel) = tokio::sync::watch::channel(false);
        let outcome = drive(run, std::sync::Arc::default(), cancel).await?;
        match outcome
            .samples
            .first()
            .and_then(|sample| sample.error.as_ref())
        {
            Some(error) => Err(RunFailure::failed(format!(
                "the server is up but refuses a first request: {}",
                error.message
            ))),
            None => Ok(()),
        }
    }

    /// Waits until the server ends by itself; forever where it is not ours.
    pub async fn ended(&self) -> Ended {
        match &self.running {
            Some(running) => running.wait().await,
            None => std::future::pending().await,
        }
    }

    /// How it ended, if it has.
    pub fn has_ended(&self) -> Option<Ended> {
        self.running.as_ref().and_then(Running::ended)
    }

    /// Empties the prefix cache. None: the engine cannot.
    pub async fn flush(&self) -> Option<bool> {
        match engine::flush_cache(self.engine, &self.base, QUESTION).await {
            Ok(true) => Some(true),
            Ok(false) => None,
            Err(error) => {
                tracing::warn!(%error, "the prefix cache was not flushed");
                Some(false)
            }
        }
    }

    /// The server's own counters at this moment.
    pub async fn counts(&self) -> Option<Counts> {
        engine::snapshot(self.engine, &self.base, QUESTION).await
    }

    /// Ends the server and everything that it started. None: it is not ours.
    pub async fn stop(self) -> Option<Ended> {
        match self.running {
            Some(running) => Some(running.stop().await),
            None => None,
        }
    }
}

/// The port that the candidate's flags fix, or a free one.
fn port_of(candidate: &Candidate) -> Result<u16, RunFailure> {
    let fixed = candidate.flags.get("port").and_then(|port| port.as_u64());
    match fixed.map(u16::try_from) {
        None => launch::free_port().map_err(|error| RunFailure::failed(error.to_string())),
        Some(Ok(port)) if launch::is_free(port) => Ok(port),
        Some(Ok(port)) => Err(RunFailure::failed(format!(
            "port_taken: port {port} is in use by another process; free it, or leave the port flag out so that a free one is chosen"
        ))),
        Some(Err(_)) => Err(RunFailure::failed("the port flag is not a port number")),
    }
}

/// The plan's endpoint as the load generator knows it.
pub fn load_endpoint(plan: &Plan) -> Result<load::Endpoint, RunFailure> {
    serde_json::from_value(plan.benchmark.endpoint.clone().into())
        .map_err(|error| RunFailure::failed(format!("benchmark.endpoint: {error}")))
}

/// Runs the load generator off the async threads.
pub async fn drive(
    run: LoadRun,
    live: std::sync::Arc<load::Live>,
    cancel: load::Cancel,
) -> Result<load::LoadOutcome, RunFailure> {
    tokio::task::spawn_blocking(move || load::drive(&run, &live, cancel))
        .await
        .map_err(|error| RunFailure::failed(format!("the load generator stopped: {error}")))?
        .map_err(|error| RunFailure::failed(error.to_string()))
}
