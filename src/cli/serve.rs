//! `sota-loop serve`: the MCP server on standard input and output.

use std::path::PathBuf;

use clap::Args;

use crate::fault::Fault;
use crate::mcp;

const EXAMPLES: &str = "\
Example (Claude Code):
  claude mcp add sota-loop -- sota-loop serve

The server speaks MCP on stdin and stdout and logs to stderr; set RUST_LOG=debug for more.";

/// Serve the tools over MCP on stdin and stdout.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {}

pub fn run(_args: ServeArgs) -> Result<(), Fault> {
    super::runtime()?.block_on(mcp::serve_stdio(project_dir()))
}

/// The project folder that the host names, if any.
pub(super) fn project_dir() -> Option<PathBuf> {
    std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from)
}
