//! What a job finds out before its first launch: every framework's version and
//! flags, and whether each candidate's command line will be taken.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::task::JoinSet;

use super::BenchError;
use super::failure::RunFailure;
use super::installation::{Installation, inspect};
use super::lineup::Lineup;
use super::plan::Plan;
use super::row::RowStatus;
use super::server::{argv, entry_of};
use crate::engine::{EngineError, FlagProblem};
use crate::job::JobHandle;
use crate::launch::{CaptureSpec, capture};
use crate::own_binary::own_binary;

/// The frameworks as they are, and the candidates that need not be tried.
#[derive(Debug, Default)]
pub struct Prepared {
    pub installations: IndexMap<String, Installation>,
    pub benchmark_help: Option<PathBuf>,
    /// Candidates that are not launched: their framework is not there, or this
    /// version has no such knob.
    pub unusable: HashMap<usize, RunFailure>,
    pub warnings: Vec<String>,
}

/// Asks all frameworks at once; nothing is measured meanwhile.
pub async fn prepare(
    plan: &Plan,
    lineup: &Lineup,
    help: &Path,
    job: &JobHandle,
) -> Result<Prepared, BenchError> {
    let mut asked = JoinSet::new();
    let launched = plan
        .enabled()
        .filter(|(_, framework)| framework.url.is_none());
    for name in launched.map(|(name, _)| name.clone()) {
        let (plan, help, job) = (plan.clone(), help.to_path_buf(), job.clone());
        asked.spawn(async move {
            let framework = plan.frameworks.get(&name);
            let framework = framework.ok_or_else(|| BenchError::NoSuchFramework(name.clone()))?;
            let found = inspect(&plan, &name, framework, &help, &job).await;
            Ok::<_, BenchError>((name, found))
        });
    }
    let mut prepared = Prepared::default();
    while let Some(answer) = asked.join_next().await {
        let answer = answer.map_err(|error| BenchError::Inspection(error.to_string()))?;
        let (name, found) = answer?;
        let found = match found {
            Ok(found) => found,
            // The other frameworks can be measured all the same.
            Err(error @ (BenchError::Engine(_) | BenchError::Launch(_))) => {
                let failure = RunFailure::failed(format!("not_installed: {error}"));
                let its = lineup.candidates.iter().enumerate();
                prepared.unusable.extend(
                    its.filter(|(_, candidate)| candidate.framework == name)
                        .map(|(index, _)| (index, failure.clone())),
                );
                continue;
            }
            Err(error) => return Err(error),
        };
        prepared.warnings.extend(found.warnings.iter().cloned());
        prepared.installations.insert(name, found);
    }
    prepared.warnings.sort_unstable();
    prepared.benchmark_help = own_help(help).await;
    prepared.check_candidates(plan, lineup, help)?;
    Ok(prepared)
}

/// The load generator's own help; a job goes on without it.
async fn own_help(dir: &Path) -> Option<PathBuf> {
    let log = dir.join("sota-loop-bench.txt");
    let program = own_binary().ok()?.display().to_string();
    capture(CaptureSpec {
        argv: [&program, "bench", "--help"]
            .map(ToString::to_string)
            .to_vec(),
        env: IndexMap::new(),
        cwd: None,
        log: log.clone(),
        limit: Duration::from_secs(10),
        container: None,
    })
    .await
    .ok()?;
    Some(log)
}

impl Prepared {
    /// Refuses the plan when a flag that it writes is not taken. A knob that
    /// only the engine's defaults brought in is left out instead.
    fn check_candidates(
        &mut self,
        plan: &Plan,
        lineup: &Lineup,
        help: &Path,
    ) -> Result<(), BenchError> {
        let mut problems: Vec<String> = Vec::new();
        for (index, candidate) in lineup.candidates.iter().enumerate() {
            let name = &candidate.framework;
            let framework = plan
                .frameworks
                .get(name)
                .ok_or_else(|| BenchError::NoSuchFramework(name.clone()))?;
            let Some(known) = self
                .installations
                .get(name)
                .and_then(|found| found.flags.as_ref())
            else {
                continue;
            };
            let words = argv(plan, framework, candidate, 0)?;
            let arguments = words
                .get(entry_of(name, framework)?.template.len()..)
                .unwrap_or_default();
            let found = known.check(arguments);
            let by_default = |problem: &FlagProblem| {
                let flag = problem.flag().trim_start_matches('-').replace('-', "_");
                framework.default_search_space
                    && !framework.base_server_flags.contains_key(&flag)
                    && !framework.search_space.contains_key(&flag)
            };
            if let Some(first) = found.first()
                && found.iter().all(by_default)
            {
                let reason = format!("{first} (a knob of the engine's default search space)");
                self.unusable
                    .insert(index, RunFailure::of(RowStatus::Skipped, reason));
                continue;
            }
            for problem in found {
                let said = format!("{name}: {problem}");
                if !problems.contains(&said) {
                    problems.push(said);
                }
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(EngineError::Flags {
            problems,
            help: help.display().to_string(),
        }
        .into())
    }
}
