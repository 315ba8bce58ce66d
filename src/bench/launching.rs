//! One launch of a candidate: its sources checked and built, its server up.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;

use super::failure::RunFailure;
use super::installation::probe_in;
use super::lineup::Lineup;
use super::plan::{Framework, Plan, Source};
use super::row_writer::Launch;
use super::server::{Server, ServerSpec, engine_of, environment};
use super::session::Session;
use super::source::{self, BuildRequest, SourceState};
use crate::job::JobHandle;

/// A server kept between sessions of one candidate.
pub struct Kept {
    pub candidate: usize,
    pub launch: Launch,
    pub server: Server,
    source: Option<(Source, SourceState)>,
}

impl Kept {
    /// Refuses a run during which the sources of the server changed.
    pub fn sources_unchanged(&self) -> Result<(), RunFailure> {
        match &self.source {
            Some((source, state)) => source::unchanged(source, state),
            None => Ok(()),
        }
    }
}

/// Launches the candidate of a session as the job's `number`-th server.
pub async fn launch(
    plan: &Plan,
    lineup: &Lineup,
    session: &Session,
    number: u32,
    job: &JobHandle,
) -> Result<Kept, RunFailure> {
    let candidate = &lineup.candidates[session.candidate];
    let framework = plan
        .frameworks
        .get(&candidate.framework)
        .ok_or_else(|| RunFailure::failed("the framework left the plan"))?;
    let engine = engine_of(&candidate.framework, framework)
        .map_err(|error| RunFailure::failed(error.to_string()))?;
    let dir = lineup.session_dir(job.dir(), session);
    crate::disk::create_dir(&dir).map_err(|error| RunFailure::failed(error.to_string()))?;
    let mut spec = ServerSpec {
        plan,
        framework,
        engine,
        candidate,
        log: dir.join(format!("server-{number}.log")),
        further_env: IndexMap::new(),
        cwd: None,
    };
    let mut launch = Launch {
        number,
        source: None,
    };
    let mut kept_source = None;
    if let Some(source) = &framework.source {
        let state = SourceState::of(&source.checkout)
            .map_err(|error| RunFailure::failed(format!("not_running_checkout: {error}")))?;
        job.update(|status| {
            status.message = format!("{}: checking and building its sources", candidate.framework);
        });
        let log = dir.join(format!("build-{number}.log"));
        let ready = ready_source(&spec, source, &state, &log, &dir).await?;
        launch.source = Some(ready);
        spec.further_env = source::jit_cache_env(engine, &state);
        spec.cwd = Some(dir.clone());
        kept_source = Some((source.clone(), state));
    }
    let server = Server::launch(&spec, job).await?;
    Ok(Kept {
        candidate: session.candidate,
        launch,
        server,
        source: kept_source,
    })
}

/// Builds the sources where that is due, and proves that they are what runs.
async fn ready_source(
    spec: &ServerSpec<'_>,
    source: &Source,
    state: &SourceState,
    log: &Path,
    cwd: &Path,
) -> Result<super::row::RowSource, RunFailure> {
    let framework: &Framework = spec.framework;
    let env = environment(spec.plan, framework);
    let build_log = source::build(&BuildRequest {
        source,
        state,
        interpreter: framework.interpreter().map(std::path::PathBuf::as_path),
        env: &env,
        limit: Duration::from_secs(spec.plan.timeouts.build_s),
        log: log.to_path_buf(),
    })
    .await?;
    // In the folder where the server will run: Python looks there first.
    let probe = probe_in(spec.plan, &spec.candidate.framework, framework, cwd)
        .await
        .map_err(|error| RunFailure::failed(format!("not_running_checkout: {error}")))?;
    source::verify(source, spec.engine, &probe)?;
    source::unchanged(source, state)?;
    Ok(source::row_source(source, state, &probe, build_log))
}
