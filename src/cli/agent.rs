//! `sota-loop agent`: the far end of a job on another host; called over ssh only.

use clap::Args;

use crate::fault::{Fault, FaultCode};
use crate::remote;

/// Answer one request about jobs of other hosts (internal).
#[derive(Debug, Args)]
pub struct AgentArgs {}

pub fn run(_: AgentArgs) -> Result<(), Fault> {
    remote::serve(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()).map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            format!("the answer cannot be written: {error}"),
            "this command is started by sota-loop itself",
        )
    })
}
