//! `sota-loop watch`: a running job in the terminal. It only reads; leaving it
//! changes nothing.

mod rows;
mod screen;
mod subject;
mod view;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use clap::Args;

use super::output::Output;
use crate::fault::Fault;
use subject::{Snapshot, Subject};

const EXAMPLES: &str = "\
Examples:
  sota-loop watch                           the newest job of the campaign of this folder
  sota-loop watch bench-20260101120000-1a2b3c
  sota-loop watch out                       the newest job of a benchmark's output folder
  sota-loop watch --once                    print one look and return
  sota-loop watch --json                    the same as JSON

Keys: q, Esc or Ctrl-C leave; the job goes on.";

/// Watch a running job: candidates, rates, latencies, GPUs, log.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct WatchArgs {
    /// Id of a job, id or folder of a campaign, or the output folder of a benchmark.
    source: Option<PathBuf>,
    /// Print one look and return.
    #[arg(long)]
    once: bool,
}

pub fn run(args: WatchArgs, output: &Output) -> Result<(), Fault> {
    let subject = Subject::find(args.source.as_deref())?;
    if args.once || output.is_json() || !stdout().is_terminal() {
        return output.record(&subject.look()?, view::text);
    }
    screen::show(&subject)
}

/// Width and height of a look that no terminal bounds.
const PLAIN: (u16, u16) = (120, 40);
