//! Starting a benchmark: checks that cost nothing, then the job.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::BenchError;
use super::cost::{Cost, estimate};
use super::foreseen;
use super::lineup::Lineup;
use super::plan::{self, DatasetKind, Plan};
use super::prompts::Prompts;
use super::remote::Share;
use super::server::{argv, engine_of};
use crate::engine::{check_flags, check_parallelism};
use crate::job::{self, Submission};
use crate::source_state::SourceState;
use crate::{launch, remote, sha256};

/// The job kind of a benchmark.
pub const KIND: &str = "bench";

/// What a benchmark job does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchPayload {
    pub plan: Plan,
    pub label: Option<String>,
    /// Folder of rows and summary, absolute.
    pub output_dir: PathBuf,
    /// Root of the campaign that the rows belong to.
    pub campaign: Option<PathBuf>,
    /// The part of a job of another host that is run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The sources of each framework with a checkout as the job was asked for:
    /// other sources are another job.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub sources: IndexMap<String, SourceState>,
}

impl BenchPayload {
    pub fn rows_path(&self) -> PathBuf {
        self.output_dir.join("candidates.jsonl")
    }

    /// Folder of the helps and versions of every server and client.
    pub fn help_dir(&self) -> PathBuf {
        self.campaign
            .as_deref()
            .unwrap_or(&self.output_dir)
            .join("help")
    }

    pub fn summary_path(&self) -> PathBuf {
        self.output_dir.join("summary.md")
    }
}

/// A started or found job and what it costs.
#[derive(Debug)]
pub struct Started {
    pub submission: Submission,
    pub cost: Cost,
    pub payload: BenchPayload,
}

/// Where a job's folder goes.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// Relative output folders lie in this workspace.
    Workspace(&'a Path),
    /// Rows and jobs belong to the campaign with this root.
    Campaign(&'a Path),
}

/// Checks everything that can be checked without launching, and starts the job.
pub fn start(plan: Plan, label: Option<String>, place: Place<'_>) -> Result<Started, BenchError> {
    let (payload, jobs_dir) = place_job(plan, label, place)?;
    let cost = check(&payload)?;
    let value = json!(payload);
    let key = sha256::hex(value.to_string().as_bytes());
    let submission = job::submit(&jobs_dir, KIND, &key, value)?;
    Ok(Started {
        submission,
        cost,
        payload,
    })
}

/// What a plan would cost; nothing is launched.
pub fn cost(plan: Plan, place: Place<'_>) -> Result<Cost, BenchError> {
    let (payload, _) = place_job(plan, None, place)?;
    check(&payload)
}

fn place_job(
    plan: Plan,
    label: Option<String>,
    place: Place<'_>,
) -> Result<(BenchPayload, PathBuf), BenchError> {
    let (output_dir, jobs_dir, campaign) = match place {
        Place::Workspace(workspace) => {
            let asked = plan.search.output_dir.as_deref();
            let dir = workspace.join(asked.unwrap_or_else(|| Path::new("out")));
            (dir.clone(), dir.join("jobs"), None)
        }
        Place::Campaign(root) => (
            root.join("benchmark"),
            root.join("jobs"),
            Some(root.to_path_buf()),
        ),
    };
    if !output_dir.is_absolute() {
        return Err(BenchError::RelativeOutput(output_dir));
    }
    let payload = BenchPayload {
        sources: sources(&plan)?,
        plan,
        label,
        output_dir,
        campaign,
        share: None,
    };
    Ok((payload, jobs_dir))
}

/// The sources of every framework with a checkout, as they are where it runs.
fn sources(plan: &Plan) -> Result<IndexMap<String, SourceState>, BenchError> {
    let (names, checkouts): (Vec<_>, Vec<_>) = plan
        .enabled()
        .filter_map(|(name, framework)| {
            let source = framework.source.as_ref()?;
            Some((name.clone(), source.checkout.clone()))
        })
        .unzip();
    let states = source_states(plan, &checkouts)?;
    Ok(names.into_iter().zip(states).collect())
}

/// The states of checkouts where the plan's servers run.
pub fn source_states(plan: &Plan, checkouts: &[PathBuf]) -> Result<Vec<SourceState>, BenchError> {
    match plan.remote().and_then(|executor| executor.host) {
        Some(host) => remote::source_states(&host, checkouts).map_err(BenchError::Host),
        None => checkouts
            .iter()
            .map(|checkout| Ok(SourceState::of(checkout)?))
            .collect(),
    }
}

/// Refuses a job that could not run, and tells what it would cost.
fn check(payload: &BenchPayload) -> Result<Cost, BenchError> {
    let plan = &payload.plan;
    // GPUs, models and commands of another host are checked there.
    let here = plan.remote().is_none();
    let gpus = match here {
        true => launch::resolve(&plan.hardware.gpu_ids)?,
        false => Vec::new(),
    };
    if here || plan.dataset.kind == DatasetKind::Jsonl {
        Prompts::of(plan)?;
    }
    let lineup = Lineup::of(plan);
    let longest = longest(plan);
    for candidate in &lineup.candidates {
        let name = &candidate.framework;
        let framework = plan
            .frameworks
            .get(name)
            .ok_or_else(|| BenchError::NoSuchFramework(name.clone()))?;
        let engine = engine_of(name, framework)?;
        check_parallelism(engine, name, &candidate.flags, plan.hardware.gpu_count)?;
        check_flags(engine, name, &candidate.flags, longest)?;
        if here {
            argv(plan, framework, candidate, 0)?;
        }
    }
    crate::disk::create_dir(&payload.output_dir)?;
    let mut cost = estimate(plan, &lineup, &payload.rows_path());
    cost.warnings.extend(foreseen::unwatched(&gpus));
    Ok(cost)
}

/// Tokens of the longest scenario, prompt and output together.
fn longest(plan: &Plan) -> u64 {
    if plan.dataset.kind != DatasetKind::Random {
        return 0;
    }
    plan.scenarios()
        .iter()
        .map(|scenario| u64::from(scenario.input_len) + u64::from(scenario.output_len))
        .max()
        .unwrap_or(0)
}

/// Reads a plan from a path or from a JSON value that holds it.
pub fn plan_from(value: &serde_json::Value, workspace: &Path) -> Result<Plan, BenchError> {
    match value.as_str() {
        Some(path) => Ok(plan::from_path(&workspace.join(path))?),
        None => Ok(plan::from_value(value)?),
    }
}
