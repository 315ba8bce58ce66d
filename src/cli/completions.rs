//! `sota-loop completions`: what a shell needs to complete commands.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::Output;
use crate::fault::Fault;

const EXAMPLES: &str = "\
Examples:
  sota-loop completions bash > ~/.local/share/bash-completion/completions/sota-loop
  sota-loop completions zsh > ~/.zfunc/_sota-loop        (a folder of $fpath)
  sota-loop completions fish > ~/.config/fish/completions/sota-loop.fish";

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub fn run(args: CompletionsArgs, output: &Output) -> Result<(), Fault> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sota-loop", &mut script);
    let script = String::from_utf8_lossy(&script).trim_end().to_owned();
    output.record(&script, Clone::clone)
}
