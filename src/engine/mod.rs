//! What differs between serving engines: commands, flags, readiness, caches,
//! counters and the signatures of their failures. The facts are data under
//! `references/engines/`; this room turns them into arguments and requests.

mod argv;
mod counters;
mod entry;
mod error;
mod facts;
mod failure;
mod help;
mod probe;
mod profiler;
mod readiness;

use crate::references::Replaceable;
pub use argv::{Endpoint, LaunchRequest, argv, check_flags, check_parallelism};
pub use counters::{Counts, Settings, settings, snapshot};
pub use entry::{Entry, EntryRequest, find_entry, help_commands};
pub use error::EngineError;
pub use facts::{Engine, engine, names};
pub use failure::{Diagnosis, diagnose};
pub use help::{FlagProblem, KnownFlag, KnownFlags, parse_help};
pub use probe::{Probe, probe_command, read_probe};
pub use profiler::{Profiler, Window};
pub use readiness::{flush_cache, served_models, stage_of};

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[
    Replaceable::new("engines/sglang.toml", facts::problem),
    Replaceable::new("engines/vllm.toml", facts::problem),
    Replaceable::new("engines/trtllm.toml", facts::problem),
    Replaceable::new("engines/tokenspeed.toml", facts::problem),
    Replaceable::new("engines/openai.toml", facts::problem),
    Replaceable::new("command-wrappers.toml", |_| entry::WRAPPERS.problem()),
    Replaceable::new("failure-signatures.toml", |_| failure::SIGNATURES.problem()),
];
