//! What differs between serving engines: commands, flags, readiness, caches,
//! counters and the signatures of their failures. The facts are data under
//! `references/engines/`; this room turns them into arguments and requests.

mod argv;
mod error;
mod facts;
mod failure;
mod profiler;
mod readiness;

pub use argv::{Endpoint, LaunchRequest, argv, check_parallelism};
pub use error::EngineError;
pub use facts::{Engine, engine, names};
pub use failure::{Diagnosis, diagnose};
pub use profiler::{Profiler, Window};
pub use readiness::{flush_cache, generation_tokens, served_models, stage_of};
