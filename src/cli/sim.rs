//! `sota-loop sim`: the simulated engine in the foreground.

use crate::fault::Fault;
use crate::sim::{self, SimConfig};

const EXAMPLES: &str = "\
Examples:
  sota-loop sim --port 8000
  sota-loop sim --dialect sglang --cost-model cost.toml --time-scale 10
  sota-loop sim --dialect vllm --memory-fraction 0.97        (runs out of memory while loading)";

/// Serve a simulated engine: an OpenAI-compatible API with a cost model
/// instead of a GPU.
#[derive(Debug, clap::Args)]
#[command(version, after_help = EXAMPLES)]
pub struct SimArgs {
    #[command(flatten)]
    config: SimConfig,
}

/// Serves until it is told to stop, and ends with the code that a real engine would.
pub fn run(args: SimArgs) -> Result<(), Fault> {
    let exit = sim::serve(args.config)?;
    std::process::exit(exit.code().into())
}
