//! A framework's own checkout: what stands in it, whether the interpreter runs
//! it, its build, and caches of compiled kernels that no other tree has filled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::failure::RunFailure;
use super::plan::Source;
use super::row::RowSource;
use crate::disk;
use crate::engine::{Engine, Probe};
use crate::launch::{CaptureSpec, Container, capture};
use crate::sha256;
use crate::shell_words::shell_words;
use crate::source_state::SourceState;
use crate::state_dir::state_dir;

/// Refuses an interpreter that imports the framework from elsewhere.
pub fn verify(source: &Source, engine: &Engine, probe: &Probe) -> Result<(), RunFailure> {
    let Some(module) = engine.module.as_deref().filter(|_| source.verify) else {
        return Ok(());
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let inside = |path: &PathBuf| real(path).starts_with(real(&source.checkout));
    if probe.module_path.as_ref().is_some_and(inside) {
        return Ok(());
    }
    let interpreter = probe.executable.as_ref().map_or_else(
        || "the interpreter".to_owned(),
        |path| path.display().to_string(),
    );
    let from = match &probe.module_path {
        Some(path) => format!("imports `{module}` from {}", path.display()),
        None => format!("has no package `{module}`"),
    };
    Err(RunFailure::failed(format!(
        "not_running_checkout: {interpreter} {from}, not from {}; install the checkout into it \
         (editable), or name the right one in source.python",
        source.checkout.display()
    )))
}

/// Folders for caches of compiled kernels that only this tree has used.
pub fn jit_cache_env(engine: &Engine, state: &SourceState) -> IndexMap<String, String> {
    let root = state_dir().join("jit").join(&engine.name).join(state.key());
    engine
        .jit_cache_env
        .iter()
        .map(|variable| {
            let folder = root.join(variable.to_lowercase());
            (variable.clone(), folder.display().to_string())
        })
        .collect()
}

/// What was last built into a checkout.
#[derive(Debug, Serialize, Deserialize)]
struct Built {
    key: String,
    log: PathBuf,
}

/// Everything that a build needs.
#[derive(Debug)]
pub struct BuildRequest<'a> {
    pub source: &'a Source,
    pub state: &'a SourceState,
    pub interpreter: Option<&'a Path>,
    pub env: &'a IndexMap<String, String>,
    pub limit: Duration,
    /// Where the output of a step goes, by its number from 1.
    pub log: PathBuf,
    /// Where the steps run; none: on this host itself.
    pub container: Option<Container>,
}

/// Runs the build steps unless this tree was the last that they built.
/// Returns the log; none where the plan has no steps.
pub async fn build(request: &BuildRequest<'_>) -> Result<Option<PathBuf>, RunFailure> {
    let source = request.source;
    if source.build.is_empty() {
        return Ok(None);
    }
    let facts = serde_json::json!([source.checkout, request.interpreter, source.build]);
    let marker = state_dir().join("builds").join(format!(
        "{}.json",
        sha256::hex(facts.to_string().as_bytes())
    ));
    let last: Option<Built> = disk::read(&marker)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    if let Some(last) = last.filter(|last| last.key == request.state.key()) {
        return Ok(Some(last.log));
    }
    // Steps that fail halfway leave a tree that is neither the old nor the new.
    let _ = std::fs::remove_file(&marker);
    let mut whole = String::new();
    for step in &source.build {
        whole.push_str(&run_step(request, step, &whole).await?);
    }
    let built = Built {
        key: request.state.key(),
        log: request.log.clone(),
    };
    let json = serde_json::to_vec(&built).unwrap_or_default();
    disk::write_atomic(&marker, &json).map_err(|error| RunFailure::failed(error.to_string()))?;
    Ok(Some(request.log.clone()))
}

/// Runs one step and appends what it printed to the log.
async fn run_step(
    request: &BuildRequest<'_>,
    step: &[String],
    before: &str,
) -> Result<String, RunFailure> {
    let checkout = request.source.checkout.display().to_string();
    let interpreter = request
        .interpreter
        .map_or_else(|| "python3".to_owned(), |path| path.display().to_string());
    let argv: Vec<String> = step
        .iter()
        .map(|word| {
            word.replace("{python}", &interpreter)
                .replace("{checkout}", &checkout)
        })
        .collect();
    let shown = shell_words(&argv);
    let ran = capture(CaptureSpec {
        argv,
        env: request.env.clone(),
        cwd: Some(request.source.checkout.clone()),
        log: request.log.clone(),
        limit: request.limit,
        container: request.container.clone(),
    })
    .await
    .map_err(|error| RunFailure::failed(format!("build: {error}")))?;
    let printed = format!("$ {shown}\n{}", ran.output);
    disk::write_atomic(&request.log, format!("{before}{printed}").as_bytes())
        .map_err(|error| RunFailure::failed(error.to_string()))?;
    if ran.is_success() {
        return Ok(printed);
    }
    let how = if ran.timed_out {
        format!("did not end within {} s", request.limit.as_secs())
    } else {
        format!("ended with {}", ran.ended)
    };
    Err(RunFailure::failed(format!(
        "build: `{shown}` {how}: {} ({})",
        super::failure::telling_line(&ran.output).unwrap_or("(no output)"),
        request.log.display()
    )))
}

/// The row's record of a verified and built source.
pub fn row_source(
    source: &Source,
    state: &SourceState,
    probe: &Probe,
    build_log: Option<PathBuf>,
) -> RowSource {
    RowSource {
        checkout: source.checkout.clone(),
        tree: state.tree.clone(),
        commit: state.commit.clone(),
        dirty: state.dirty_sha256.is_some(),
        module_path: probe.module_path.clone(),
        dirty_sha256: state.dirty_sha256.clone(),
        build_log,
    }
}

/// Whether the checkout is still what the server was launched from.
pub fn unchanged(source: &Source, at_launch: &SourceState) -> Result<(), RunFailure> {
    let now = SourceState::of(&source.checkout)
        .map_err(|error| RunFailure::failed(format!("checkout_changed: {error}")))?;
    if now == *at_launch {
        return Ok(());
    }
    let what = if now.commit == at_launch.commit {
        "uncommitted files changed".to_owned()
    } else {
        format!("HEAD moved from {} to {}", at_launch.commit, now.commit)
    };
    Err(RunFailure::failed(format!(
        "checkout_changed: {what} in {} during the run",
        source.checkout.display()
    )))
}
