//! `sota-loop guard`: the parent of one engine; started by the launcher only.

use clap::Args;

use crate::fault::{Fault, FaultCode};
use crate::launch::{GuardSpec, guard};

/// Run one command, and leave nothing of it behind (internal).
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// What to run, as JSON.
    spec: String,
}

pub fn run(args: GuardArgs) -> Result<(), Fault> {
    let broken = |problem: String| {
        Fault::new(
            FaultCode::LaunchFailed,
            problem,
            "this command is started by sota-loop itself",
        )
    };
    let spec: GuardSpec =
        serde_json::from_str(&args.spec).map_err(|error| broken(error.to_string()))?;
    let ended = guard(&spec, std::io::stdin())
        .map_err(|error| broken(format!("cannot run {:?}: {error}", spec.argv)))?;
    super::output::print(&serde_json::to_string(&ended).unwrap_or_default());
    Ok(())
}
