//! `profile`: what profiler traces say, and capturing them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::follow::{check_wait, follow};
use super::scope::campaign_of;
use crate::campaign::{self, Campaign, ProfileFacts};
use crate::capture::{self, CaptureRequest, CaptureStatus, InCampaign, Place};
use crate::detail::Detail;
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder};
use crate::mcp::{Hints, Tool, ToolContext};
use crate::remote;
use crate::triage::{self, TriageRecord, TriageRequest};

pub struct Profile;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Analyse: absolute path of a trace file (.json, .json.gz, .json.zst) or of a folder of them.
    #[serde(default)]
    pub input: Option<PathBuf>,
    /// Trace or folder of the same engine and model without CUDA graphs: gives replayed kernels their source lines.
    #[serde(default)]
    pub mapping_input: Option<PathBuf>,
    /// Trace or folder of another engine on the same workload, to compare with.
    #[serde(default)]
    pub compare_input: Option<PathBuf>,
    /// The engine that wrote `input`: sglang, vllm, tensorrt-llm or tokenspeed; told from the trace when absent.
    #[serde(default)]
    pub framework: Option<String>,
    /// Kernels below this share of their stage's kernel time are summed up in one row. Percent, 0 to 100.
    #[serde(default = "default_min_share")]
    pub min_share_pct: f64,
    /// The rank to analyse where a folder holds several; default the lowest.
    #[serde(default)]
    pub rank: Option<u32>,
    /// Capture, instead of `input`: record traces of a framework as a job, then analyse them.
    #[serde(default)]
    pub capture: Option<CaptureRequest>,
    /// A capture that was started before, instead of `input` or `capture`.
    #[serde(default)]
    pub job_id: Option<String>,
    /// Seconds to wait for a capture before answering, 0 to 240.
    #[serde(default = "default_wait")]
    #[schemars(range(max = 240))]
    pub wait_s: u32,
    /// End the capture of `job_id` and its engine.
    #[serde(default)]
    pub cancel: bool,
    /// `summary` keeps the tables short, `full` gives every row.
    #[serde(default)]
    pub detail: Detail,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    /// Id or root of a campaign; default: the one open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
}

/// What traces say; of a capture also its job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProfileRecord {
    #[serde(flatten)]
    pub job: Option<CaptureStatus>,
    #[serde(flatten)]
    pub analysis: TriageRecord,
    /// Number of the campaign's event, for citations; absent outside a campaign
    /// and while a capture goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
}

fn default_min_share() -> f64 {
    1.0
}

fn default_wait() -> u32 {
    50
}

impl Tool for Profile {
    const NAME: &'static str = "profile";
    const TITLE: &'static str = "Capture and analyse profiler traces";
    const DESCRIPTION: &'static str = "Tells where the time of prefill, decode and mixed steps goes: wall, busy and idle by cause, kernels with their source lines, overlap, fusions in use or missing; with compare_input, two engines side by side by class of work. \
        With `input` it reads torch-profiler traces that exist; with `capture` it launches the best measured command again (or uses the server at a URL), records a few steps, and analyses them: a job, which goes on without this server; call again with job_id to follow, with cancel to end it. \
        Call it when check_gap says that step time is behind; not for the layers of one pass (analyze_pipeline) and not for counters of one kernel (ncu_digest). \
        Returns short tables and report_path with all rows. \
        Example: {\"capture\": {\"framework\": \"sglang\", \"stage\": \"both\", \"graphs\": \"both\"}} or {\"input\": \"/abs/profiles/sglang/decode\", \"compare_input\": \"/abs/profiles/vllm/decode\"}";
    const EXAMPLE: &'static str =
        r#"{"capture": {"framework": "sglang"}} or {"input": "/abs/profiles/sglang/decode"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: true,
    };
    type Arguments = Arguments;
    type Record = ProfileRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<ProfileRecord, Fault> {
        check_wait(arguments.wait_s)?;
        let project_dir = context.project_dir.clone();
        if arguments.input.is_some() && arguments.capture.is_none() && arguments.job_id.is_none() {
            let work = move || analyse(arguments, project_dir.as_deref());
            return context.blocking(work).await;
        }
        let full = arguments.detail == Detail::Full;
        let wait = Duration::from_secs(arguments.wait_s.into());
        let job = context
            .blocking(move || begin(arguments, project_dir.as_deref()))
            .await?;
        follow(&job, wait, "recordings", &context).await?;
        context
            .blocking(move || {
                let event =
                    campaign::record_captured(&job, || Ok(capture::record(&job, true)?.analysis))?;
                let record = capture::record(&job, full)?;
                Ok(ProfileRecord {
                    job: Some(record.job),
                    analysis: record.analysis,
                    event,
                })
            })
            .await
    }
}

fn invalid(message: &str, hint: &str) -> Fault {
    Fault::new(FaultCode::InvalidArgument, message, hint)
}

/// Starts a capture, or finds one.
fn begin(arguments: Arguments, project_dir: Option<&Path>) -> Result<JobFolder, Fault> {
    match (&arguments.capture, &arguments.job_id, &arguments.input) {
        (None, Some(id), None) => {
            let job = job::open(id)?;
            if arguments.cancel {
                remote::cancel(&job)?;
            } else {
                remote::pick_up(&job)?;
            }
            Ok(job)
        }
        (Some(_), None, None) if arguments.cancel => {
            Err(invalid("cancel goes with job_id", "name the job to end"))
        }
        (Some(request), None, None) => start(request, &arguments, project_dir),
        (None, None, None) => Err(invalid(
            "neither input, capture nor job_id is given",
            Profile::EXAMPLE,
        )),
        _ => Err(invalid(
            "input, capture and job_id exclude one another",
            "give one of them",
        )),
    }
}

fn start(
    request: &CaptureRequest,
    arguments: &Arguments,
    project_dir: Option<&Path>,
) -> Result<JobFolder, Fault> {
    let workspace = campaign::workspace(arguments.workspace.as_deref(), project_dir)?;
    let found = campaign_of(Some(&workspace), None, arguments.campaign.as_deref())?;
    capture_in(request, &workspace, found.as_ref())
}

/// Starts a capture, which a campaign takes note of.
pub(crate) fn capture_in(
    request: &CaptureRequest,
    workspace: &Path,
    found: Option<&Campaign>,
) -> Result<JobFolder, Fault> {
    let Some(campaign) = found else {
        let place = Place {
            workspace,
            campaign: None,
        };
        return Ok(capture::start(request, place)?.job);
    };
    let sealed = campaign::sealed_commands(campaign)?;
    let state = campaign.state()?;
    let place = Place {
        workspace,
        campaign: Some(InCampaign {
            root: &campaign.root,
            target: state.target(),
            round: state.round(),
            sealed: sealed.as_ref(),
        }),
    };
    let job = capture::start(request, place)?.job;
    campaign::record_capture(
        campaign,
        &job,
        &request.framework,
        request.scenario.as_deref(),
        request.stage.as_str(),
    )?;
    Ok(job)
}

fn round_of(campaign: &Campaign) -> Result<u32, Fault> {
    Ok(campaign.state()?.round())
}

fn analyse(arguments: Arguments, project_dir: Option<&Path>) -> Result<ProfileRecord, Fault> {
    let input = arguments.input.unwrap_or_default();
    let workspace = arguments.workspace.as_deref();
    let found = campaign_of(workspace, project_dir, arguments.campaign.as_deref())?;
    let full = triage::analyze(&TriageRequest {
        input: input.clone(),
        mapping_input: arguments.mapping_input,
        compare_input: arguments.compare_input,
        framework: arguments.framework,
        min_share_pct: Some(arguments.min_share_pct),
        rank: arguments.rank,
        detail: Detail::Full,
    })?;
    let folder = match &found {
        Some(campaign) => campaign
            .root
            .join("profiles")
            .join(round_of(campaign)?.to_string())
            .join(full.framework.as_deref().unwrap_or("unknown")),
        None => campaign::workspace(workspace, project_dir)?.join("out/profiles"),
    };
    let report = triage::write_report(&folder.join(name_of(&input)), &full)?;
    let mut event = None;
    if let Some(campaign) = &found {
        campaign::settle(campaign)?;
        let noted = campaign::record_profile(
            campaign,
            ProfileFacts {
                input: &input,
                capture_job: None,
                analysis: &full,
                report_path: &report.markdown,
            },
        )?;
        event = noted.map(|appended| appended.event.seq);
    }
    let mut record = match arguments.detail {
        Detail::Summary => full.summary(),
        Detail::Full => full,
    };
    record.report_path = Some(report.markdown);
    Ok(ProfileRecord {
        job: None,
        analysis: record,
        event,
    })
}

/// The report's folder: the last two parts of the trace's path.
fn name_of(input: &Path) -> String {
    let mut parts: Vec<String> = input
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let kept = parts.split_off(parts.len().saturating_sub(2));
    let name = kept.join("-");
    let name = name.trim_end_matches(".gz").trim_end_matches(".json");
    if name.is_empty() {
        "trace".to_owned()
    } else {
        name.to_owned()
    }
}
