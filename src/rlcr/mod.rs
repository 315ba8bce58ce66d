//! The loop runtime: the refined plan, Humanize or the built-in rounds, and the
//! gate at which a conversation may end.
//!
//! What happened stands in the campaign's event log; this room writes the
//! checkout's `.humanize/` from it, and reads it back.

mod builtin;
mod checklist;
mod command;
mod companion;
mod conversation;
mod error;
mod exclude;
mod facts;
mod folders;
mod hook_input;
mod hooks;
mod humanize;
mod plan;
mod prompt;
mod rest;
mod rounds;
#[cfg(test)]
mod sample;
mod start;
mod state_file;
mod stop_gate;
mod template;
mod touched;

pub use checklist::{Item, Review};
pub use companion::{Companion, CompanionPaths, Companions, FoundBy, companions};
pub use error::RlcrError;
pub use folders::{Folders, Host};
pub use hook_input::{HookEvent, HookInput};
pub use hooks::{HookOutput, answer as answer_hook};
pub use rest::{pause, resume};
pub use rounds::{advance, finished, observe, review};
pub use start::{StartRequest, StartedLoop, start_loop};
