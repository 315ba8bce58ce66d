//! `run_benchmark`: start, follow or cancel a benchmark job.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::follow::{check_wait, follow};
use super::scope::{Detail, campaign_of};
use crate::bench::{self, BenchRecord, Cost, Place};
use crate::campaign::{self, EventKind};
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder};
use crate::mcp::{Hints, Tool, ToolContext};

pub struct RunBenchmark;

/// What a benchmark's rows may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A trial: its rows never count as evidence in a campaign.
    Smoke,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Absolute path of a plan file (YAML or JSON), or the plan itself as an object.
    #[serde(default)]
    #[schemars(schema_with = "plan_schema")]
    pub plan: Option<Value>,
    /// A job that was started before, instead of a plan.
    #[serde(default)]
    pub job_id: Option<String>,
    /// Seconds to wait for the job before answering, 0 to 240.
    #[serde(default = "default_wait")]
    #[schemars(range(max = 240))]
    pub wait_s: u32,
    /// End the job of `job_id` and its engines.
    #[serde(default)]
    pub cancel: bool,
    /// In a campaign: what the rows may be used for.
    #[serde(default)]
    pub label: Option<Label>,
    /// Id or root of a campaign; default: the one open campaign of the
    /// workspace when `label` is given, else none.
    #[serde(default)]
    pub campaign: Option<String>,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(default)]
    pub detail: Detail,
}

fn default_wait() -> u32 {
    50
}

fn plan_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "description": "Absolute path of a plan file (YAML or JSON), or the plan itself as an object.",
        "anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}],
    })
}

impl Tool for RunBenchmark {
    const NAME: &'static str = "run_benchmark";
    const TITLE: &'static str = "Benchmark serving frameworks fairly";
    const DESCRIPTION: &'static str = "Launches every framework of a plan one after another, measures all with the same load generator and prompts, and repeats the winners interleaved. \
        Use it for every number that a claim rests on; not for kernel profiles. \
        Returns at once with a job id, its cost (launches, seconds) and, after up to wait_s, progress, rows and winners; the job goes on without this server. \
        Call again with job_id to follow, with cancel to end it. The same plan again returns the same job, or resumes it. \
        Example: {\"plan\": \"/abs/plan.yaml\", \"wait_s\": 50} then {\"job_id\": \"bench-20260101120000-1a2b3c\", \"wait_s\": 240}";
    const EXAMPLE: &'static str = r#"{"plan": "/abs/plan.yaml", "wait_s": 50}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = BenchRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<BenchRecord, Fault> {
        check_wait(arguments.wait_s)?;
        let full = arguments.detail == Detail::Full;
        let wait = Duration::from_secs(arguments.wait_s.into());
        let project_dir = context.project_dir.clone();
        let (job, cost) = context
            .blocking(move || begin(arguments, project_dir.as_deref()))
            .await?;
        follow(&job, wait, "runs", &context).await?;
        context
            .blocking(move || Ok(bench::record(&job, cost, full)?))
            .await
    }
}

fn invalid(message: String, hint: &str) -> Fault {
    Fault::new(FaultCode::InvalidArgument, message, hint)
}

fn begin(
    arguments: Arguments,
    project_dir: Option<&Path>,
) -> Result<(JobFolder, Option<Cost>), Fault> {
    match (&arguments.plan, &arguments.job_id) {
        (None, Some(id)) => {
            let job = job::open(id)?;
            bench::remote::pick_up(&job)?;
            if arguments.cancel {
                job.cancel()?;
            }
            Ok((job, None))
        }
        (Some(plan), None) if !arguments.cancel => start(plan, &arguments, project_dir),
        (Some(_), None) => Err(invalid(
            "cancel goes with job_id".to_owned(),
            "name the job to end",
        )),
        (Some(_), Some(_)) => Err(invalid(
            "both plan and job_id are given".to_owned(),
            "give a plan to start, or a job_id to follow",
        )),
        (None, None) => Err(invalid(
            "neither plan nor job_id is given".to_owned(),
            RunBenchmark::EXAMPLE,
        )),
    }
}

fn start(
    plan: &Value,
    arguments: &Arguments,
    project_dir: Option<&Path>,
) -> Result<(JobFolder, Option<Cost>), Fault> {
    let in_campaign = arguments.campaign.is_some() || arguments.label.is_some();
    let workspace = campaign::workspace(arguments.workspace.as_deref(), project_dir)?;
    let campaign = if in_campaign {
        campaign_of(Some(&workspace), None, arguments.campaign.as_deref())?
    } else {
        None
    };
    let plan = bench::plan_from(plan, &workspace)?;
    let Some(campaign) = campaign else {
        let started = bench::start(plan, None, Place::Workspace(&workspace))?;
        return Ok((started.submission.job, Some(started.cost)));
    };
    if arguments.label.is_none() {
        return Err(invalid(
            format!("a benchmark of campaign {} needs a label", campaign.id),
            "label smoke marks a trial",
        ));
    }
    let started = bench::start(
        plan,
        Some("smoke".to_owned()),
        Place::Campaign(&campaign.root),
    )?;
    let job = started.submission.job;
    if started.submission.started {
        let body = json!({"job_id": job.id, "label": "smoke", "cost": started.cost});
        campaign::note(&campaign, EventKind::BenchmarkStarted, body, Vec::new())?;
    }
    Ok((job, Some(started.cost)))
}
