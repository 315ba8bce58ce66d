//! Puts load on one engine and records what each request saw, token by token.
//!
//! [`drive`] sends the prompts of a [`LoadRun`] on their schedule and returns
//! one [`Sample`] a request. Nothing is summarised here: a sample holds raw
//! time stamps, so that every metric can be computed again from the file
//! that [`write_samples`] leaves.
//!
//! Rules that keep the measurement honest:
//! - stamps are taken when a read returns, before its bytes are looked at;
//! - tokens come from the engine's own counts (`usage`, `meta_info`); where it
//!   gives none, chunks are counted and [`TokenCountSource::Chunks`] says so;
//! - a role-only or empty delta is no token;
//! - the schedule is absolute: a late request does not delay those behind it.

mod arrivals;
mod body;
mod chunk;
mod drive;
mod error;
mod histogram;
mod live;
mod record;
mod request;
mod run;
mod sample;
mod scan;
mod sse;
mod tally;

pub use arrivals::schedule;
pub use drive::{Cancel, ClientCost, LoadOutcome, drive};
pub use error::LoadError;
pub use histogram::Quantiles;
pub use live::{Live, LiveCounts};
pub use record::{read_samples, write_samples};
pub use run::{Arrivals, Endpoint, LoadRun, Sampling};
pub use sample::{ErrorClass, RequestError, Sample, TokenCountSource, TtftRule};
