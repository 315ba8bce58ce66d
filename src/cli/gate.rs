//! `sota-loop gate`: the hook of Claude Code and Codex.

use std::io::Read;

use clap::Args;

use super::output::print;
use crate::fault::Fault;
use crate::rlcr::{self, HookOutput};
use crate::state_dir::state_dir;

const EXAMPLES: &str = "\
Examples:
Both hooks run this command and are told apart by what the host writes to it. In hooks.json:
  {\"hooks\": {
    \"PostToolUse\": [{\"matcher\": \"mcp__.*sota-loop.*\", \"hooks\": [{\"type\": \"command\", \"command\": \"sota-loop gate\"}]}],
    \"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"sota-loop gate\", \"timeout\": 10}]}]}}

To see what it would say:
  echo '{\"hook_event_name\": \"Stop\", \"session_id\": \"ID\"}' | sota-loop gate

It always exits 0: a gate that is itself broken lets the conversation end, and says so.";

/// Hook: keeps a conversation in its campaign's loop until an allowed stop.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GateArgs {}

/// Longest input that is read; a tool's answer may be part of it.
const MOST: u64 = 64 << 20;

pub fn run(_args: GateArgs) -> Result<(), Fault> {
    let output = std::panic::catch_unwind(answer)
        .unwrap_or_else(|_| Err("it stopped unexpectedly".to_owned()))
        .unwrap_or_else(|problem| {
            HookOutput::let_go(Some(format!(
                "sota-loop: the stop gate is broken and lets go: {problem}"
            )))
        });
    print(&serde_json::to_string(&output).unwrap_or_else(|_| "{}".to_owned()));
    Ok(())
}

fn answer() -> Result<HookOutput, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(MOST)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("its input cannot be read: {error}"))?;
    let input = rlcr::HookInput::parse(&bytes)
        .map_err(|error| format!("its input is not what a host writes: {error}"))?;
    let project = super::serve::project_dir();
    rlcr::answer_hook(&input, &state_dir(), project.as_deref()).map_err(|error| error.to_string())
}
