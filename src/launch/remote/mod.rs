//! Programs on the host of an engine: over ssh, or on this host where Slurm's
//! commands are at hand; and this program's own binary brought there.
//!
//! What crosses the connection is either fixed text or an array of arguments
//! quoted for the shell at the other end; everything else goes through standard
//! input as data.

mod binary;
mod channel;
mod error;
mod install;

pub use binary::Binary;
pub use channel::{Answer, Body, Channel};
pub use error::RemoteError;
pub use install::install;
