//! The commands that test an attempt.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::ChecksError;
use super::payload::ChecksPayload;
use super::run::TestResult;
use crate::bench::{BenchError, container_of};
use crate::job::JobHandle;
use crate::launch::{CommandSpec, Running};
use crate::redact;

/// A test that runs longer has failed.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs one command in the checkout; its output is in `dir`.
pub async fn run_test(
    payload: &ChecksPayload,
    index: usize,
    argv: &[String],
    job: &JobHandle,
) -> Result<TestResult, ChecksError> {
    let log = job.dir().join(format!("test-{}.log", index + 1));
    let framework = payload.plan.frameworks.get(&payload.candidate.framework);
    let container = match framework {
        Some(framework) => container_of(&payload.plan, framework, job)
            .await
            .map_err(BenchError::from)?,
        None => None,
    };
    let started = Instant::now();
    let command = CommandSpec {
        argv: argv.to_vec(),
        env: environment(payload, container.is_some()),
        cwd: Some(payload.checkout.clone()),
        log: log.clone(),
        stop: Duration::from_secs(10),
    };
    let exit = match Running::start_in(container.as_ref(), command).await {
        Ok(running) => {
            let ended = tokio::time::timeout(LIMIT, running.wait()).await.ok();
            running.stop().await;
            ended.and_then(|ended| ended.code)
        }
        Err(error) => {
            crate::disk::write_atomic(&log, format!("{error}\n").as_bytes())?;
            Some(127)
        }
    };
    Ok(TestResult {
        argv: redact::redact_argv(argv),
        exit,
        passed: exit == Some(0),
        seconds: started.elapsed().as_secs(),
        log,
    })
}

/// The engine's environment: what the plan gives its server, and on this host
/// its interpreter first on PATH; a container has a PATH of its own.
fn environment(payload: &ChecksPayload, in_container: bool) -> IndexMap<String, String> {
    let mut env = IndexMap::new();
    let Some(framework) = payload.plan.frameworks.get(&payload.candidate.framework) else {
        return env;
    };
    env.extend(framework.env.clone());
    for name in &framework.env_from {
        if let Ok(value) = std::env::var(name) {
            env.insert(name.clone(), value);
        }
    }
    let bin = framework.interpreter().and_then(|python| python.parent());
    if let Some(bin) = bin.filter(|_| !in_container) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let parts: Vec<PathBuf> = std::iter::once(bin.to_path_buf())
            .chain(std::env::split_paths(&path))
            .collect();
        if let Ok(joined) = std::env::join_paths(parts) {
            env.insert("PATH".to_owned(), joined.to_string_lossy().into_owned());
        }
    }
    env
}
