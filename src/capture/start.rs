//! From a request to a job: the command, the lengths and the folders.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::lengths::Lengths;
use super::payload::{CapturePayload, KIND, ServerSource};
use super::request::{CaptureRequest, GraphsChoice};
use super::{CaptureError, space};
use crate::bench::plan::Plan;
use crate::bench::{self, MeasuredVersion, SealedCommands, TokenIds, WinnerQuery};
use crate::engine::{self, Engine, Profiler};
use crate::job::{self, Submission};
use crate::{disk, launch, sha256};

/// Where traces and the job's folder go.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Relative paths of a request lie here.
    pub workspace: &'a Path,
    pub campaign: Option<InCampaign<'a>>,
}

/// The campaign that a capture belongs to.
#[derive(Debug, Clone, Copy)]
pub struct InCampaign<'a> {
    pub root: &'a Path,
    /// Its target framework.
    pub target: &'a str,
    /// The present round.
    pub round: u32,
    /// Its commands, once they are sealed.
    pub sealed: Option<&'a SealedCommands>,
}

impl Place<'_> {
    /// The folder that holds one folder a framework.
    fn profiles(&self) -> PathBuf {
        match self.campaign {
            Some(InCampaign { root, round, .. }) => root.join("profiles").join(round.to_string()),
            None => self.workspace.join("out/profiles"),
        }
    }

    fn jobs(&self) -> PathBuf {
        match self.campaign {
            Some(InCampaign { root, .. }) => root.join("jobs"),
            None => self.workspace.join("out/jobs"),
        }
    }

    fn rows(&self) -> PathBuf {
        match self.campaign {
            Some(InCampaign { root, .. }) => root.join("benchmark/candidates.jsonl"),
            None => self.workspace.join("out/candidates.jsonl"),
        }
    }
}

/// Checks everything that can be checked without launching, and starts the job.
pub fn start(request: &CaptureRequest, place: Place<'_>) -> Result<Submission, CaptureError> {
    request.check()?;
    let payload = resolve(request, place)?;
    disk::create_dir(&payload.folder)?;
    space::check(&payload)?;
    let value = json!(payload);
    let key = sha256::hex(value.to_string().as_bytes());
    Ok(job::submit(&place.jobs(), KIND, &key, value)?)
}

fn resolve(request: &CaptureRequest, place: Place<'_>) -> Result<CapturePayload, CaptureError> {
    let plan = match &request.plan {
        Some(plan) => Some(bench::plan_from(plan, place.workspace)?),
        None => None,
    };
    match request.url() {
        Some(url) => running(request, place, url, plan),
        None => winner(request, place, plan),
    }
}

/// The best measured command, launched again.
fn winner(
    request: &CaptureRequest,
    place: Place<'_>,
    plan: Option<Plan>,
) -> Result<CapturePayload, CaptureError> {
    let rows = match &request.rows {
        Some(rows) => place.workspace.join(rows),
        None => place.rows(),
    };
    let sealed = place.campaign.and_then(|campaign| campaign.sealed);
    if sealed.is_some() && plan.is_some() {
        return Err(CaptureError::invalid(
            "a sealed campaign captures its sealed commands, not those of a plan",
            "leave plan out",
        ));
    }
    let winner = bench::winner(WinnerQuery {
        rows: &rows,
        framework: &request.framework,
        scenario: request.scenario.as_deref(),
        target: place.campaign.map(|campaign| campaign.target),
        plan,
        sealed,
    })?;
    let lengths = match given(request) {
        Some(lengths) => lengths,
        None => Lengths::of_winner(&winner)?.or(request.input_len, request.output_len),
    };
    let framework = &winner.plan.frameworks[&request.framework];
    let engine = bench::engine_of(&request.framework, framework)?;
    let profiler = profiler_of(engine)?;
    let mut payload = blank(request, place, engine, lengths);
    payload.scenario = Some(winner.workload.scenario.clone());
    payload.leader = Some(winner.leader);
    payload.sealed = winner.sealed;
    payload.version = winner.version;
    payload.token_ids = TokenIds::of(&winner.plan);
    payload.gpu_ids.clone_from(&winner.plan.hardware.gpu_ids);
    payload.executor = winner.plan.remote();
    // GPUs of another host are looked at there.
    if payload.executor.is_none() {
        launch::resolve(&payload.gpu_ids).map_err(bench::BenchError::from)?;
    }
    if let Some(url) = framework.url.clone() {
        refuse_unreachable(request, engine, profiler)?;
        let name = winner.plan.model.served_name().to_owned();
        payload.source = at_url(request, place, url, Some(name));
        payload.nonce = Some(job::now());
        return Ok(payload);
    }
    refuse_unfit(request, engine, profiler)?;
    if let Some(source) = &framework.source {
        let checkout = std::slice::from_ref(&source.checkout);
        let state = bench::source_states(&winner.plan, checkout)?.pop();
        // Traces of one tree are no evidence for another: both are kept.
        if let Some(state) = &state {
            payload.folder.push(state.short_key());
        }
        payload.checkout = state;
    }
    payload.source = ServerSource::Launch {
        plan: Box::new(winner.plan),
        candidate: winner.candidate,
    };
    payload.nonce = request.again.then(job::now);
    Ok(payload)
}

/// Refuses what a launched command cannot do.
fn refuse_unfit(
    request: &CaptureRequest,
    engine: &Engine,
    profiler: &Profiler,
) -> Result<(), CaptureError> {
    if request.graphs == GraphsChoice::Both && profiler.graphs_off_flags.is_empty() {
        return Err(CaptureError::invalid(
            format!(
                "no flag is known that turns CUDA graphs off in {}",
                engine.name
            ),
            "capture with graphs: on; a second plan with graphs off in the engine's own configuration gives a mapping trace",
        ));
    }
    let only_running = [
        ("trace_dir", request.trace_dir.is_some()),
        ("gpu_ids", request.gpu_ids.is_some()),
    ];
    match only_running.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(CaptureError::invalid(
            format!("{name} goes with a server that runs already"),
            "leave it out: the launched command decides it",
        )),
        None => Ok(()),
    }
}

/// Refuses what cannot be had of a server that runs already.
fn refuse_unreachable(
    request: &CaptureRequest,
    engine: &Engine,
    profiler: &Profiler,
) -> Result<(), CaptureError> {
    if request.graphs == GraphsChoice::Both {
        return Err(CaptureError::invalid(
            "graphs: both needs a second launch, which a running server cannot have",
            "profile a second server that was started with CUDA graphs off, and name its traces as mapping_input",
        ));
    }
    if profiler.is_fixed_at_launch() {
        return Err(CaptureError::invalid(
            format!(
                "{} records only a range of steps that is fixed at launch",
                engine.name
            ),
            "use server: sealed_winner with a command that is launched",
        ));
    }
    if profiler.folder_is_fixed_at_launch() && request.trace_dir.is_none() {
        return Err(CaptureError::invalid(
            format!("{} writes traces where it was told at launch", engine.name),
            format!(
                "give that folder as trace_dir; the server needs {}",
                profiler.launch_hint()
            ),
        ));
    }
    Ok(())
}

fn at_url(
    request: &CaptureRequest,
    place: Place<'_>,
    url: String,
    served_name: Option<String>,
) -> ServerSource {
    ServerSource::Url {
        url,
        trace_dir: request
            .trace_dir
            .as_ref()
            .map(|dir| place.workspace.join(dir)),
        served_name,
    }
}

/// A server that runs already.
fn running(
    request: &CaptureRequest,
    place: Place<'_>,
    url: &str,
    plan: Option<Plan>,
) -> Result<CapturePayload, CaptureError> {
    let framework = plan
        .as_ref()
        .and_then(|plan| plan.frameworks.get(&request.framework));
    let engine = match framework {
        Some(framework) => bench::engine_of(&request.framework, framework)?,
        None => engine::engine(&request.framework)?,
    };
    let profiler = profiler_of(engine)?;
    refuse_unreachable(request, engine, profiler)?;
    let scenario = request.scenario.as_deref();
    let lengths = match (given(request), &plan) {
        (Some(lengths), _) => lengths,
        (None, Some(plan)) => {
            Lengths::of_plan(plan, scenario)?.or(request.input_len, request.output_len)
        }
        (None, None) => Lengths::standard(scenario).ok_or_else(|| {
            CaptureError::invalid(
                "nothing says how long prompts and outputs are",
                "give a plan, input_len and output_len, or scenario chat (1000 in, 1000 out) or summarization (8000 in, 1000 out)",
            )
        })?,
    };
    let mut payload = blank(request, place, engine, lengths);
    payload.gpu_ids = match (&request.gpu_ids, &plan) {
        (Some(ids), _) => ids.clone(),
        (None, Some(plan)) => plan.hardware.gpu_ids.clone(),
        (None, None) => Vec::new(),
    };
    if let Some(plan) = &plan {
        payload.token_ids = TokenIds::of(plan);
        payload.executor = plan.remote();
    }
    let name = plan.map(|plan| plan.model.served_name().to_owned());
    payload.source = at_url(request, place, url.to_owned(), name);
    // What runs at an address may be another server each time.
    payload.nonce = Some(job::now());
    Ok(payload)
}

fn profiler_of(engine: &'static Engine) -> Result<&'static Profiler, CaptureError> {
    engine
        .profiler
        .as_ref()
        .ok_or_else(|| CaptureError::UnknownProfiler {
            engine: engine.name.clone(),
        })
}

/// Lengths that the caller gave whole.
fn given(request: &CaptureRequest) -> Option<Lengths> {
    Some(Lengths {
        input_len: request.input_len?,
        output_len: request.output_len?,
        basis: "as asked".to_owned(),
    })
}

fn blank(
    request: &CaptureRequest,
    place: Place<'_>,
    engine: &Engine,
    lengths: Lengths,
) -> CapturePayload {
    CapturePayload {
        framework: request.framework.clone(),
        engine: engine.name.clone(),
        source: ServerSource::Url {
            url: String::new(),
            trace_dir: None,
            served_name: None,
        },
        scenario: request.scenario.clone(),
        lengths,
        token_ids: TokenIds::default(),
        stages: request.stage.stages(),
        graphs: request.graphs,
        ranks: request.ranks,
        steps: request.steps,
        warmup_steps: request.warmup_steps,
        batch: request.batch,
        gpu_ids: Vec::new(),
        profiles: place.profiles(),
        folder: place.profiles().join(&request.framework),
        campaign: place.campaign.map(|campaign| campaign.root.to_path_buf()),
        round: place.campaign.map(|campaign| campaign.round),
        leader: None,
        keep_traces: request.keep_traces,
        trace_timeout_s: request.trace_timeout_s,
        sealed: false,
        version: MeasuredVersion::default(),
        checkout: None,
        executor: None,
        guest_of: None,
        nonce: None,
    }
}
