//! One launch of a candidate: its sources checked and built, its server up.

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;

use super::container::container_of;
use super::failure::RunFailure;
use super::installation::probe_in;
use super::lineup::Lineup;
use super::plan::{Framework, Plan, Source};
use super::row::RowSource;
use super::row_writer::Launch;
use super::server::{Server, ServerSpec, engine_of, environment};
use super::session::Session;
use super::source::{self, BuildRequest};
use crate::job::JobHandle;
use crate::source_state::SourceState;

/// A server kept between sessions of one candidate.
pub struct Kept {
    pub candidate: usize,
    pub launch: Launch,
    pub server: Server,
    sources: Option<Sources>,
}

impl Kept {
    /// Refuses a run during which the sources of the server changed.
    pub fn sources_unchanged(&self) -> Result<(), RunFailure> {
        self.sources.as_ref().map_or(Ok(()), Sources::unchanged)
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
    let sources = ready_sources(&mut spec, job).await?;
    let server = Server::launch(&spec, job).await?;
    Ok(Kept {
        candidate: session.candidate,
        launch: Launch {
            number,
            source: sources.as_ref().map(|sources| sources.row.clone()),
        },
        server,
        sources,
    })
}

/// The checkout that a server runs, built and proven.
#[derive(Debug)]
pub struct Sources {
    pub row: RowSource,
    source: Source,
    state: SourceState,
}

impl Sources {
    /// Refuses a measurement during which the sources of the server changed.
    pub fn unchanged(&self) -> Result<(), RunFailure> {
        source::unchanged(&self.source, &self.state)
    }
}

/// Builds and checks the sources of a framework that names a checkout, and
/// sets what its server needs for that; its log goes beside the server's.
pub async fn ready_sources(
    spec: &mut ServerSpec<'_>,
    job: &JobHandle,
) -> Result<Option<Sources>, RunFailure> {
    let Some(source) = &spec.framework.source else {
        return Ok(None);
    };
    let dir = spec.log.parent().unwrap_or(job.dir()).to_path_buf();
    let state = SourceState::of(&source.checkout)
        .map_err(|error| RunFailure::failed(format!("not_running_checkout: {error}")))?;
    job.update(|status| {
        status.message = format!(
            "{}: checking and building its sources",
            spec.candidate.framework
        );
    });
    let log = match spec.log.file_name() {
        Some(name) => dir.join(format!("build-{}", name.to_string_lossy())),
        None => dir.join("build.log"),
    };
    let row = ready_source(spec, source, &state, &log, &dir, job).await?;
    spec.further_env = source::jit_cache_env(spec.engine, &state);
    spec.cwd = Some(dir);
    Ok(Some(Sources {
        row,
        source: source.clone(),
        state,
    }))
}

/// Builds the sources where that is due, and proves that they are what runs.
async fn ready_source(
    spec: &ServerSpec<'_>,
    source: &Source,
    state: &SourceState,
    log: &Path,
    cwd: &Path,
    job: &JobHandle,
) -> Result<RowSource, RunFailure> {
    let framework: &Framework = spec.framework;
    let env = environment(spec.plan, framework);
    let build_log = source::build(&BuildRequest {
        source,
        state,
        interpreter: framework.interpreter().map(std::path::PathBuf::as_path),
        env: &env,
        limit: Duration::from_secs(spec.plan.timeouts.build_s),
        log: log.to_path_buf(),
        container: container_of(spec.plan, framework, job)
            .await
            .map_err(|error| RunFailure::failed(error.to_string()))?,
    })
    .await?;
    // In the folder where the server will run: Python looks there first.
    let probe = probe_in(spec.plan, &spec.candidate.framework, framework, cwd, job)
        .await
        .map_err(|error| RunFailure::failed(format!("not_running_checkout: {error}")))?;
    source::verify(source, spec.engine, &probe)?;
    source::unchanged(source, state)?;
    Ok(source::row_source(source, state, &probe, build_log))
}
