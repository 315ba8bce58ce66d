//! A small HTTP/1.1 client for talking to a serving engine on this machine or network.
//!
//! Plain `http` only. A name is resolved once to a literal address, Nagle's
//! algorithm is off, and no proxy is ever used, so that nothing between the
//! client and the engine adds time. [`get`] and [`post_json`] are for the
//! control plane (readiness, `/v1/models`, `/metrics`, cache flush): one
//! connection a call, a time limit, a bounded body. [`Pool`] is for the load
//! generator: kept-alive connections, and a time stamp for every read.

mod base;
mod connection;
mod control;
mod error;
mod framing;
mod pool;
mod request;
#[cfg(test)]
mod tests;
mod wire;

pub use base::Base;
pub use control::{Limits, Reply, get, post_json};
pub use error::HttpError;
pub use pool::{Chunk, Exchange, Pool, PoolCounts};
