//! `sota-loop bench`: a benchmark in the foreground, with its job behind it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use comfy_table::Cell;
use indicatif::{ProgressBar, ProgressStyle};

use super::next_command::next_command;
use super::output::{self, Mood, Output};
use crate::bench::{self, BenchRecord, Phase, Place, RowStatus};
use crate::fault::{Fault, FaultCode};
use crate::job::{self, JobFolder, JobState};
use crate::remote;

const EXAMPLES: &str = "\
Examples:
  sota-loop bench plan.yaml                 measure, with progress; Ctrl-C ends the engines
  sota-loop bench plan.yaml --estimate      only say what it would cost
  sota-loop bench plan.yaml --detach        start it and return
  sota-loop bench --job bench-2026...       follow a job that was started before
  sota-loop bench --job bench-2026... --cancel

The same plan again resumes what was interrupted, and returns what is done.";

/// Benchmark the frameworks of a plan.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// The plan, YAML or JSON.
    #[arg(required_unless_present = "job")]
    plan: Option<PathBuf>,
    /// Follow this job instead.
    #[arg(long, conflicts_with = "plan")]
    job: Option<String>,
    /// End the job and its engines.
    #[arg(long, requires = "job")]
    cancel: bool,
    /// Start the job and return at once.
    #[arg(long)]
    detach: bool,
    /// Check the plan and say what it would cost; launch nothing.
    #[arg(long, conflicts_with_all = ["job", "detach"])]
    estimate: bool,
}

pub fn run(args: BenchArgs, output: &Output) -> Result<(), Fault> {
    let job = match (&args.job, &args.plan) {
        (Some(id), _) => {
            let job = job::open(id)?;
            if args.cancel {
                remote::cancel(&job)?;
            } else {
                remote::pick_up(&job)?;
            }
            job
        }
        (None, Some(path)) => match start(path, &args, output)? {
            Some(job) => job,
            None => return Ok(()),
        },
        (None, None) => return Ok(()),
    };
    if !args.detach {
        super::runtime()?.block_on(follow(&job, output))?;
    }
    let record = bench::record(&job, None, false)?;
    output.record(&record, human)?;
    let told = ending(&record);
    match record.failure {
        Some(fault) => Err(fault),
        None if record.state == JobState::Cancelled && !args.cancel => {
            std::process::exit(super::CANCELLED)
        }
        None => match told {
            Some(problem) => {
                eprintln!("error: {problem}");
                std::process::exit(1)
            }
            None => Ok(()),
        },
    }
}

/// What makes an ended job a failure although it has no fault of its own. The
/// record, which is printed, says the rest.
fn ending(record: &BenchRecord) -> Option<String> {
    match record.state {
        JobState::Lost => Some(format!("{} is lost: {}", record.job_id, record.message)),
        JobState::Done if record.winners.is_empty() => {
            Some(format!("no run of {} succeeded", record.job_id))
        }
        _ => None,
    }
}

fn start(path: &Path, args: &BenchArgs, output: &Output) -> Result<Option<JobFolder>, Fault> {
    let workspace = std::env::current_dir().map_err(|error| {
        Fault::new(
            FaultCode::WorkspaceRequired,
            format!("the current folder is gone: {error}"),
            "change into a folder that exists",
        )
    })?;
    let plan = bench::plan_from(&path.display().to_string().into(), &workspace)?;
    let place = Place::Workspace(&workspace);
    if args.estimate {
        let cost = bench::cost(plan, place)?;
        output.record(&cost, |cost| {
            let mut text = format!(
                "{} launches, {} runs, about {:.0} s ({})",
                cost.launches, cost.runs, cost.estimated_s, cost.basis
            );
            for warning in &cost.warnings {
                text.push_str(&format!("\nwarning: {warning}"));
            }
            text
        })?;
        return Ok(None);
    }
    let started = bench::start(plan, None, place)?;
    if !output.is_json() {
        let cost = started.cost;
        eprintln!(
            "job {}: {} launches, {} runs, about {:.0} s ({})",
            started.submission.job.id, cost.launches, cost.runs, cost.estimated_s, cost.basis
        );
        for warning in &cost.warnings {
            eprintln!("warning: {warning}");
        }
    }
    Ok(Some(started.submission.job))
}

/// Shows a job's progress until it ends; Ctrl-C cancels it and waits.
pub(super) async fn follow(job: &JobFolder, output: &Output) -> Result<JobState, Fault> {
    let bar = if output.is_json() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(1)
    };
    if let Ok(style) =
        ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed_precise} {wide_msg}")
    {
        bar.set_style(style);
    }
    let mut interrupted = false;
    loop {
        let status = job.status()?;
        bar.set_length(status.progress.total as u64);
        bar.set_position(status.progress.done as u64);
        let left = status
            .progress
            .eta_s
            .map_or_else(String::new, |eta| format!(" (about {eta:.0} s left)"));
        let rate = status.live["tokens_per_s"]
            .as_f64()
            .map_or_else(String::new, |rate| format!(", {rate:.0} tok/s"));
        bar.set_message(format!("{}{rate}{left}", status.message));
        if status.state.is_final() {
            bar.finish_and_clear();
            return Ok(status.state);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            pressed = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = pressed.is_ok();
                job.cancel()?;
                bar.println("cancelling: the engines are being ended; what is finished is kept");
            }
        }
    }
}

/// Winners and rows as tables, and where the files are.
pub(super) fn human(record: &BenchRecord) -> String {
    let mut text = String::new();
    if !record.rows.is_empty() {
        text.push_str(&rows_table(record));
        text.push_str("\n\n");
    }
    for winner in &record.winners {
        text.push_str(&format!(
            "best at {}: {} {}\n",
            winner.place(),
            winner.framework,
            winner.candidate_id
        ));
    }
    for warning in &record.warnings {
        text.push_str(&output::prose(&format!("warning: {warning}")));
        text.push('\n');
    }
    text.push_str(&format!(
        "{}: {}\nrows:    {}\nsummary: {}\nlog:     {}\nnext:    {}",
        record.job_id,
        state(record),
        record.candidates_path.display(),
        record.summary_path.display(),
        record.log_path.display(),
        next_command(&record.next),
    ));
    text
}

/// The job's state with its message, which may begin with it.
fn state(record: &BenchRecord) -> String {
    let state = format!("{:?}", record.state).to_lowercase();
    match record.message.starts_with(&state) {
        true => record.message.clone(),
        false => format!("{state}, {}", record.message),
    }
}

fn rows_table(record: &BenchRecord) -> String {
    let header = [
        "framework",
        "candidate",
        "scenario",
        "run",
        "status",
        "req/s",
        "TTFT ms",
        "TPOT ms",
    ];
    let mut table = output::aligned(&header, &[5, 6, 7]);
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let mut reasons = String::new();
    for row in record.rows.iter().rev() {
        if let Some(reason) = &row.failure_reason {
            let place = format!("{} {} {}", row.framework, row.candidate_id, row.place());
            let line = format!("{place}: {}: {reason}", row.status);
            reasons.push_str(&format!("\n{}", output::prose(&line)));
        }
        let (status, mood) = match row.status {
            RowStatus::Ok if row.sla_passed => ("ok".to_owned(), Mood::Plain),
            RowStatus::Ok => ("SLA missed".to_owned(), Mood::Bad),
            RowStatus::Skipped => (row.status.to_string(), Mood::Doubtful),
            status => (status.to_string(), Mood::Bad),
        };
        let run = match row.phase {
            Phase::Measure => row.repeat.to_string(),
            phase => format!("{phase:?}").to_lowercase(),
        };
        let cells = [
            Cell::new(&row.framework),
            Cell::new(&row.candidate_id),
            Cell::new(row.place()),
            Cell::new(run),
            output::cell(status, mood),
            Cell::new(number(row.request_throughput, 3)),
            Cell::new(number(row.p50_ttft_ms, 1)),
            Cell::new(number(row.p50_tpot_ms, 2)),
        ];
        output::line(&mut table, cells);
    }
    let mut text = format!("{table}\nTTFT and TPOT are medians.{reasons}");
    if record.truncated {
        text.push_str(&format!(
            "\n({} of {} rows; all are in {})",
            record.rows.len(),
            record.total,
            record.candidates_path.display()
        ));
    }
    text
}
