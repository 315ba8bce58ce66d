//! `sota-loop capture`: a profiler capture in the foreground, with its job behind it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::Output;
use super::{bench, triage};
use crate::campaign::{self, Found};
use crate::capture::{self, CaptureRecord, CaptureRequest, GraphsChoice, KeepTraces, StageChoice};
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder, JobState};
use crate::mcp::tools::capture_in;
use crate::remote;

const EXAMPLES: &str = "\
Examples:
  sota-loop capture sglang                       the best measured command, prefill and decode
  sota-loop capture sglang --graphs both         and a run without CUDA graphs for source lines
  sota-loop capture vllm --stage decode --scenario chat --batch 8
  sota-loop capture sglang --server http://127.0.0.1:30000 --scenario chat
  sota-loop capture --job capture-2026...        follow a capture that was started before
  sota-loop capture --job capture-2026... --cancel

The best command comes from out/candidates.jsonl, which `sota-loop bench` writes.
docs/capture.md explains what is recorded.";

/// Record profiler traces of a serving engine and tell what they say.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CaptureArgs {
    /// The framework, as the plan names it.
    #[arg(required_unless_present = "job")]
    framework: Option<String>,
    /// A scenario of the plan [default: the one with the widest gap].
    #[arg(long)]
    scenario: Option<String>,
    #[arg(long, value_enum, default_value = "both")]
    stage: StageChoice,
    /// sealed_winner, or the address of a running server.
    #[arg(long, default_value = "sealed_winner", value_name = "URL")]
    server: String,
    /// Add a mapping run without CUDA graphs.
    #[arg(long, value_enum, default_value = "on")]
    graphs: GraphsChoice,
    /// Ranks whose traces are kept, lowest first.
    #[arg(long, default_value_t = 1, value_name = "N")]
    ranks: u32,
    /// Steps to record of each stage.
    #[arg(long, default_value_t = 5, value_name = "N")]
    steps: u32,
    /// Steps before those.
    #[arg(long, default_value_t = 10, value_name = "N")]
    warmup_steps: u32,
    /// Sequences of a decode step.
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: u32,
    /// The plan that was measured [default: the one that the measuring job recorded].
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Rows with the winner [default: the campaign's, else out/candidates.jsonl].
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Prompt tokens of a prefill [default: the scenario's].
    #[arg(long, value_name = "TOKENS")]
    input_len: Option<u32>,
    /// Output tokens of a decode [default: the scenario's].
    #[arg(long, value_name = "TOKENS")]
    output_len: Option<u32>,
    /// With an address: where the server was told to write traces.
    #[arg(long, value_name = "DIR")]
    trace_dir: Option<PathBuf>,
    /// With an address: GPUs that the server uses.
    #[arg(long, value_delimiter = ',', value_name = "INDEX")]
    gpu_ids: Option<Vec<u32>>,
    /// Traces that stay on disk.
    #[arg(long, value_enum, default_value = "all")]
    keep_traces: KeepTraces,
    /// Seconds to wait for whole trace files.
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    trace_timeout_s: u32,
    /// Capture anew even when the same capture is done.
    #[arg(long)]
    again: bool,
    /// Id or root of a campaign [default: the one open campaign of this folder].
    #[arg(long)]
    campaign: Option<String>,
    /// Follow this job instead.
    #[arg(long, conflicts_with = "framework")]
    job: Option<String>,
    /// End the job and its engine.
    #[arg(long, requires = "job")]
    cancel: bool,
    /// Start the job and return at once.
    #[arg(long)]
    detach: bool,
    /// Return after so many seconds at the latest; the capture goes on.
    #[arg(long, value_name = "SECONDS", conflicts_with = "detach")]
    wait: Option<u64>,
}

pub fn run(args: CaptureArgs, output: &Output) -> Result<(), Fault> {
    let job = match &args.job {
        Some(id) => {
            let job = job::open(id)?;
            if args.cancel {
                remote::cancel(&job)?;
            } else {
                remote::pick_up(&job)?;
            }
            job
        }
        None => start(&args)?,
    };
    if !output.is_json() {
        eprintln!("job {}", job.id);
    }
    if !args.detach {
        let follow = bench::follow(&job, output);
        super::runtime()?.block_on(async {
            match args.wait {
                None => follow.await.map(drop),
                Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), follow)
                    .await
                    .unwrap_or_else(|_| Ok(job.status()?.state))
                    .map(drop),
            }
        })?;
    }
    let record = capture::record(&job, true)?;
    campaign::record_captured(&job, || Ok(record.analysis.clone()))?;
    output.record(&record, human)?;
    match record.job.failure {
        Some(fault) => Err(fault),
        None if record.job.state == JobState::Cancelled && !args.cancel => {
            std::process::exit(super::CANCELLED)
        }
        None => Ok(()),
    }
}

fn start(args: &CaptureArgs) -> Result<JobFolder, Fault> {
    let workspace = std::env::current_dir().map_err(|error| {
        Fault::new(
            FaultCode::WorkspaceRequired,
            format!("the current folder is gone: {error}"),
            "change into a folder that exists",
        )
    })?;
    let found = match campaign::locate(&workspace, args.campaign.as_deref())? {
        Found::Campaign(campaign) => Some(campaign),
        Found::None => None,
    };
    capture_in(&request(args), &workspace, found.as_ref())
}

fn request(args: &CaptureArgs) -> CaptureRequest {
    CaptureRequest {
        scenario: args.scenario.clone(),
        stage: args.stage,
        server: args.server.clone(),
        graphs: args.graphs,
        ranks: args.ranks,
        steps: args.steps,
        warmup_steps: args.warmup_steps,
        batch: args.batch,
        plan: args
            .plan
            .as_ref()
            .map(|path| path.display().to_string().into()),
        rows: args.rows.clone(),
        input_len: args.input_len,
        output_len: args.output_len,
        trace_dir: args.trace_dir.clone(),
        gpu_ids: args.gpu_ids.clone(),
        keep_traces: args.keep_traces,
        trace_timeout_s: args.trace_timeout_s,
        again: args.again,
        ..CaptureRequest::new(args.framework.clone().unwrap_or_default())
    }
}

/// The tables of the analysis, then the traces and where everything is.
fn human(record: &CaptureRecord) -> String {
    let mut text = String::new();
    if !record.analysis.stages.is_empty() {
        text.push_str(&triage::human(&record.analysis));
        text.push_str("\n\n");
    }
    for trace in &record.job.traces {
        text.push_str(&format!(
            "trace:  {} ({} {}, rank {}, {:.1} MB)\n",
            trace.path.display(),
            trace.graphs.as_str(),
            trace.stage.as_str(),
            trace.rank,
            trace.bytes as f64 / 1e6
        ));
    }
    let lengths = &record.job.lengths;
    text.push_str(&format!(
        "asked:  prefill of {} tokens, decode of {} ({})\n",
        lengths.input_len, lengths.output_len, lengths.basis
    ));
    if let Some(digest) = &record.job.digest_path {
        text.push_str(&format!("digest: {}\n", digest.display()));
    }
    let state = format!("{:?}", record.job.state).to_lowercase();
    text.push_str(&format!(
        "{}: {state}, {}\nlog:    {}",
        record.job.job_id,
        record.job.message,
        record.job.log_path.display()
    ));
    if record.analysis.stages.is_empty() {
        text.push_str(&format!("\nnext:   {}", record.analysis.next));
    }
    text
}
