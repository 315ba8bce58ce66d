//! `sota-loop call TOOL JSON`: one tool call without an MCP host.

use std::io::Read;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use super::output::Output;
use crate::fault::{Fault, FaultCode};
use crate::mcp::{ToolContext, tools};

const EXAMPLES: &str = "\
Examples:
  sota-loop call campaign '{\"action\": \"status\"}'
  sota-loop call check_gap '{\"rows\": \"/abs/out/candidates.jsonl\", \"target\": \"sglang\"}'
  cat arguments.json | sota-loop call run_benchmark -

Prints the tool's structured result as one JSON object and exits 0, or prints the
error object and exits 1.";

/// Call one MCP tool and print its structured result as JSON.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CallArgs {
    /// Name of the tool.
    tool: String,
    /// Arguments as a JSON object; `-` reads them from standard input.
    #[arg(default_value = "{}")]
    arguments: String,
}

pub fn run(args: CallArgs, _output: &Output) -> Result<(), Fault> {
    match call(args) {
        Ok(record) => {
            super::output::print(&record.to_string());
            Ok(())
        }
        Err(fault) => {
            super::output::print(&serde_json::to_string(&fault).unwrap_or(fault.message));
            std::process::exit(1);
        }
    }
}

fn call(args: CallArgs) -> Result<Value, Fault> {
    let text = if args.arguments == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| {
                Fault::new(
                    FaultCode::NotReadable,
                    format!("cannot read the arguments from standard input: {error}"),
                    "pipe one JSON object in, or give it as the second argument",
                )
            })?;
        text
    } else {
        args.arguments
    };
    let arguments: Value = serde_json::from_str(&text).map_err(|error| {
        Fault::new(
            FaultCode::InvalidArgument,
            format!("the arguments are no JSON: {error}"),
            "give one JSON object, in single quotes on a shell",
        )
    })?;
    let entries = tools::all();
    let Some(entry) = entries.iter().find(|entry| entry.name == args.tool) else {
        return Err(tools::unknown(&args.tool));
    };
    let (_, cancelled) = tokio::sync::watch::channel(false);
    let progress = Arc::new(
        |done: f64, total: Option<f64>, message: String| match total {
            Some(total) => eprintln!("[{done:.0}/{total:.0}] {message}"),
            None => eprintln!("[{done:.0}] {message}"),
        },
    );
    let context = ToolContext::new(super::serve::project_dir(), Some(progress), cancelled);
    super::runtime()?.block_on(entry.call(arguments, context))
}
