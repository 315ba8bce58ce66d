//! `sota-loop describe`: the tools as documents, for `.ci/generate`.

use clap::{Args, ValueEnum};

use super::output::print;
use crate::fault::Fault;
use crate::mcp::reference;

/// Print what the MCP server says of its tools.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    form: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// docs/tools.md
    Markdown,
    /// bin/support/mcp.json, from which the bootstrap server answers.
    Mcp,
}

pub fn run(args: DescribeArgs) -> Result<(), Fault> {
    let text = match args.form {
        Form::Markdown => reference::markdown(),
        Form::Mcp => reference::snapshot(),
    };
    print(text.trim_end());
    Ok(())
}
