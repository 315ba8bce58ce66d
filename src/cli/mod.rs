//! The command line: arguments in, tables and progress bars out.
//!
//! To add a command: write `<name>.rs` with a `clap::Args` struct (doc
//! comments are its help; give examples in `after_help`) and a
//! `run(args, &Output) -> Result<(), Fault>`, add it to [`Command`] and to
//! [`dispatch`]. Tables go through [`output::Output`], so that `--json` prints
//! the domain's record instead.

mod agent;
mod bench;
mod call;
mod capture;
mod completions;
mod demo;
mod demo_loop;
mod describe;
mod gap;
mod gate;
mod guard;
mod history;
mod import;
mod ncu;
mod next_command;
pub mod output;
mod patience;
mod pipeline;
mod report;
mod serve;
mod sim;
mod supervise;
mod triage;
mod watch;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::catalogues;
use crate::fault::{Fault, FaultCode};
use output::Output;

/// Make SGLang match or beat the fastest serving framework on this machine,
/// and prove it.
#[derive(Debug, Parser)]
#[command(name = "sota-loop", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Print the result as JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Examples:
  sota-loop demo                              try it on simulated engines
  sota-loop bench plan.yaml                   measure
  sota-loop gap out/candidates.jsonl          decide
  sota-loop report out                        look at it

Exit codes:
  0    done
  1    the command failed, and the error says why
  2    the arguments are wrong
  130  the job was cancelled while it was followed

Colours appear only on a terminal, and not with NO_COLOR set.";

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
    Watch(watch::WatchArgs),
    Report(report::ReportArgs),
    Gap(gap::GapArgs),
    Import(import::ImportArgs),
    Why(why::WhyArgs),
    Capture(Box<capture::CaptureArgs>),
    Triage(triage::TriageArgs),
    History(history::HistoryArgs),
    Pipeline(pipeline::PipelineArgs),
    Ncu(ncu::NcuArgs),
    Serve(serve::ServeArgs),
    Gate(gate::GateArgs),
    Sim(Box<sim::SimArgs>),
    Call(call::CallArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Describe(describe::DescribeArgs),
    #[command(hide = true)]
    Supervise(supervise::SuperviseArgs),
    #[command(hide = true)]
    Guard(guard::GuardArgs),
    #[command(hide = true)]
    Agent(agent::AgentArgs),
}

/// Parses the arguments, runs the command, and prints any failure.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let output = Output::new(cli.json);
    // A server that starts can tell its client what is wrong; see `mcp::Entry`.
    let checked = match &cli.command {
        Command::Serve(_) | Command::Gate(_) | Command::Guard(_) => Ok(()),
        _ => catalogues::check(),
    };
    let done = checked.and_then(|()| dispatch(cli.command, &output));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output.fault(&fault);
            match fault.error {
                FaultCode::InvalidArgument => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Logs go to standard error: standard output belongs to results and to MCP.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::colours(&std::io::stderr()))
        .init();
}

fn dispatch(command: Command, output: &Output) -> Result<(), Fault> {
    match command {
        Command::Demo(args) => demo::run(args, output),
        Command::Bench(args) => bench::run(args, output),
        Command::Watch(args) => watch::run(args, output),
        Command::Report(args) => report::run(args, output),
        Command::Gap(args) => gap::run(args, output),
        Command::Import(args) => import::run(args, output),
        Command::Why(args) => why::run(args, output),
        Command::Capture(args) => capture::run(*args, output),
        Command::Triage(args) => triage::run(args, output),
        Command::History(args) => history::run(args, output),
        Command::Pipeline(args) => pipeline::run(args, output),
        Command::Ncu(args) => ncu::run(args, output),
        Command::Serve(args) => serve::run(args),
        Command::Gate(args) => gate::run(args),
        Command::Sim(args) => sim::run(*args),
        Command::Call(args) => call::run(args, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Describe(args) => describe::run(args),
        Command::Supervise(args) => supervise::run(args),
        Command::Guard(args) => guard::run(args),
        Command::Agent(args) => agent::run(args),
    }
}

/// Exit code of a job that was cancelled while it was followed, as a shell
/// gives it to a program that Ctrl-C ended.
const CANCELLED: i32 = 130;

/// A runtime for commands that wait on engines, jobs or hosts.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Fault::new(
                FaultCode::Internal,
                format!("cannot start worker threads: {error}"),
                "raise the limit on processes and threads (`ulimit -u`)",
            )
            .retryable()
        })
}
