//! The work of a checks job.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::ChecksError;
use super::greedy::{Agreement, Outputs, compare};
use super::payload::ChecksPayload;
use super::tests_of_attempt::run_test;
use crate::bench::{BenchError, Server, ServerSpec, engine_of, given_gpus, gpus, ready_sources};
use crate::job::{JobHandle, Outcome};
use crate::source_state::SourceState;

/// `result.json` of a checks job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChecksResult {
    pub tests: Vec<TestResult>,
    /// Outputs of this tree.
    pub outputs: PathBuf,
    /// Their agreement with the base tree's; none where they are the first.
    pub agreement: Option<Agreement>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    pub argv: Vec<String>,
    pub exit: Option<i32>,
    pub passed: bool,
    pub seconds: u64,
    pub log: PathBuf,
}

/// Runs the tests, then compares the outputs. No process outlives this call.
pub async fn run(mut payload: ChecksPayload, job: JobHandle) -> Outcome {
    let given = given_gpus(payload.guest_of);
    if !given.is_empty() {
        payload.plan.hardware.gpu_ids = given;
    }
    match work(&payload, &job).await {
        Ok(Some(result)) => match serde_json::to_value(result) {
            Ok(value) => Outcome::Done(value),
            Err(error) => Outcome::Failed(ChecksError::Spec(error).into()),
        },
        Ok(None) => Outcome::Cancelled,
        Err(error) => Outcome::Failed(error.into()),
    }
}

async fn work(
    payload: &ChecksPayload,
    job: &JobHandle,
) -> Result<Option<ChecksResult>, ChecksError> {
    let found = SourceState::of(&payload.checkout).map_err(BenchError::from)?;
    // Whether the campaign's own checkout is clean, its gates know.
    let found = match payload.guest_of {
        Some(_) => found.key(),
        None => found.tree,
    };
    if found != payload.tree {
        return Err(ChecksError::Moved {
            from: payload.tree.clone(),
            to: found,
        });
    }
    let total = payload.tests.len() as f64 + 1.0;
    let say = |done: usize, message: String| {
        job.update(|status| {
            status.message = message;
            status.progress.done = done as f64;
            status.progress.total = total;
        });
    };
    let patience = Duration::from_secs(payload.plan.timeouts.wait_for_gpu_s);
    let gpu_ids = &payload.plan.hardware.gpu_ids;
    let Some(_gpus) = gpus::take(gpu_ids, None, patience, job).await? else {
        return Ok(None);
    };
    let mut tests = Vec::new();
    for (index, argv) in payload.tests.iter().enumerate() {
        if job.is_cancelled() {
            return Ok(None);
        }
        say(index, format!("test {}: {}", index + 1, argv.join(" ")));
        let mut cancelled = job.cancellation();
        let test = tokio::select! {
            test = run_test(payload, index, argv, job) => test?,
            _ = cancelled.wait_for(|cancelled| *cancelled) => return Ok(None),
        };
        tests.push(test);
    }
    say(tests.len(), "greedy outputs".to_owned());
    let outputs = outputs(payload, job).await?;
    if job.is_cancelled() {
        return Ok(None);
    }
    let path = job.dir().join("outputs.json");
    outputs.write(&path)?;
    let agreement = match &payload.reference {
        Some(reference) => Some(compare(&Outputs::read(reference)?, &outputs)),
        None => None,
    };
    Ok(Some(ChecksResult {
        tests,
        outputs: path,
        agreement,
    }))
}

/// The outputs of the target's server, launched as it was measured.
async fn outputs(payload: &ChecksPayload, job: &JobHandle) -> Result<Outputs, ChecksError> {
    let plan = &payload.plan;
    let name = &payload.candidate.framework;
    let framework = plan
        .frameworks
        .get(name)
        .ok_or_else(|| ChecksError::NoFramework(name.clone()))?;
    let no_server = |reason: String| ChecksError::NoServer {
        framework: name.clone(),
        reason,
    };
    let mut spec = ServerSpec {
        plan,
        framework,
        engine: engine_of(name, framework).map_err(|error| no_server(error.to_string()))?,
        candidate: &payload.candidate,
        log: server_log(job.dir()),
        further_env: IndexMap::new(),
        cwd: None,
    };
    let sources = ready_sources(&mut spec, job)
        .await
        .map_err(|failure| no_server(failure.reason))?;
    if let Some(sources) = &sources
        && sources.row.tree != payload.tree
    {
        return Err(ChecksError::Moved {
            from: payload.tree.clone(),
            to: sources.row.tree.clone(),
        });
    }
    let server = Server::launch(&spec, job)
        .await
        .map_err(|failure| no_server(failure.reason))?;
    let mut cancelled = job.cancellation();
    let asked = Outputs::of(
        &server.base,
        &plan.benchmark.endpoint,
        plan.model.served_name(),
        &payload.tree,
    );
    let outputs = tokio::select! {
        outputs = asked => outputs,
        // The caller sees the cancellation.
        _ = cancelled.wait_for(|cancelled| *cancelled) => Ok(Outputs {
            tree: payload.tree.clone(),
            max_tokens: 0,
            texts: Vec::new(),
        }),
    };
    server.stop().await;
    if let Some(sources) = sources {
        sources
            .unchanged()
            .map_err(|failure| no_server(failure.reason))?;
    }
    outputs
}

fn server_log(dir: &Path) -> PathBuf {
    dir.join("server.log")
}
