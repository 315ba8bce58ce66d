//! The loop runtime: the refined plan, Humanize or the built-in rounds, and the
//! gate at which a conversation may end.
//!
//! What happened stands in the campaign's event log; this room writes the
//! checkout's `.humanize/` from it, and reads it back.

mod command;
mod companion;
mod conversation;
mod error;
mod exclude;
mod folders;
mod hook_input;
mod humanize;
mod plan;
mod state_file;
mod stop_gate;
mod template;

pub use companion::{Companion, CompanionPaths, Companions, FoundBy, companions};
pub use error::RlcrError;
pub use folders::{Folders, Host};
