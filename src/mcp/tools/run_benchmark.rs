//! `run_benchmark`: start, follow or cancel a benchmark job.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::follow::{check_wait, follow};
use super::scope::campaign_of;
use crate::bench::plan::Plan;
use crate::bench::{self, BenchRecord, Cost, Place};
use crate::campaign::events::BenchmarkLabel;
use crate::campaign::{self, Campaign, CampaignError, Changes};
use crate::detail::Detail;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder};
use crate::mcp::{Hints, Tool, ToolContext};
use crate::remote;

pub struct RunBenchmark;

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
    /// In a campaign: what the rows may be used for. `revalidation` takes no
    /// plan: workload, SLA and leader come from the seal.
    #[serde(default)]
    pub label: Option<BenchmarkLabel>,
    /// With `revalidation`: flags of a re-searched target command, laid over
    /// the sealed ones.
    #[serde(default)]
    pub target_flags: Map<String, Value>,
    /// With `revalidation`: sessions of each side, 1 to 10; default: as sealed.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    pub repeats: Option<u32>,
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

pub(super) fn plan_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
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
        In a campaign it needs a label: baseline wants the history notes first, revalidation measures the sealed workload again at the present tree. \
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
            .blocking(move || begin(&arguments, project_dir.as_deref()))
            .await?;
        follow(&job, wait, "runs", &context).await?;
        context
            .blocking(move || {
                if let Some(campaign) = campaign::of_job(&job.dir) {
                    campaign::settle(&campaign)?;
                }
                Ok(bench::record(&job, cost, full)?)
            })
            .await
    }
}

fn invalid(message: String, hint: &str) -> Fault {
    Fault::new(FaultCode::InvalidArgument, message, hint)
}

type Begun = (JobFolder, Option<Cost>);

fn begin(arguments: &Arguments, project_dir: Option<&Path>) -> Result<Begun, Fault> {
    let is_revalidation = arguments.label == Some(BenchmarkLabel::Revalidation);
    if !is_revalidation && (arguments.repeats.is_some() || !arguments.target_flags.is_empty()) {
        return Err(invalid(
            "target_flags and repeats go with label revalidation".to_owned(),
            "set them in the plan: search.repeats, frameworks.<name>.base_server_flags",
        ));
    }
    match (&arguments.plan, &arguments.job_id) {
        (None, Some(id)) => {
            let job = job::open(id)?;
            if arguments.cancel {
                remote::cancel(&job)?;
            } else {
                remote::pick_up(&job)?;
            }
            Ok((job, None))
        }
        _ if arguments.cancel => Err(invalid(
            "cancel goes with job_id".to_owned(),
            "name the job to end",
        )),
        (Some(_), Some(_)) => Err(invalid(
            "both plan and job_id are given".to_owned(),
            "give a plan to start, or a job_id to follow",
        )),
        (Some(_), None) if is_revalidation => Err(invalid(
            "a revalidation takes no plan: its workload, SLA and leader come from the seal"
                .to_owned(),
            r#"{"label": "revalidation"}, with target_flags or repeats where they are to change"#,
        )),
        (None, None) if is_revalidation => revalidate(arguments, project_dir),
        (Some(plan), None) => start(plan, arguments, project_dir),
        (None, None) => Err(invalid(
            "neither plan nor job_id is given".to_owned(),
            RunBenchmark::EXAMPLE,
        )),
    }
}

fn start(plan: &Value, arguments: &Arguments, project_dir: Option<&Path>) -> Result<Begun, Fault> {
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
    let Some(label) = arguments.label else {
        return Err(invalid(
            format!("a benchmark of campaign {} needs a label", campaign.id),
            "label smoke marks a trial, baseline the search that the campaign rests on",
        ));
    };
    campaign::settle(&campaign)?;
    campaign::may_benchmark(&campaign, label, &plan)?;
    submit(&campaign, label, plan)
}

fn revalidate(arguments: &Arguments, project_dir: Option<&Path>) -> Result<Begun, Fault> {
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let campaign = found.ok_or(CampaignError::None)?;
    campaign::settle(&campaign)?;
    let plan = campaign::revalidation_plan(
        &campaign,
        &Changes {
            target_flags: arguments.target_flags.clone().into_iter().collect(),
            repeats: arguments.repeats,
        },
    )?;
    campaign::may_benchmark(&campaign, BenchmarkLabel::Revalidation, &plan)?;
    submit(&campaign, BenchmarkLabel::Revalidation, plan)
}

fn submit(campaign: &Campaign, label: BenchmarkLabel, plan: Plan) -> Result<Begun, Fault> {
    let name = label.name().to_owned();
    let started = bench::start(plan, Some(name), Place::Campaign(&campaign.root))?;
    let job = started.submission.job;
    campaign::record_benchmark(campaign, label, &job, &started.payload.plan, &started.cost)?;
    Ok((job, Some(started.cost)))
}
