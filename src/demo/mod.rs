//! Campaigns on simulated engines, played as an agent would play them: the same
//! tool calls, the same refusals, no GPU.
//!
//! A [`Stage`] is a workspace with a git checkout whose stand-in for SGLang
//! reads its step costs from a source file, a small knowledge root, and a plan.
//! A [`Play`] makes the calls on it, through whatever [`Agent`] it is given, and
//! tells its audience what happens. `sota-loop demo --loop` and the tests share it.

mod error;
mod play;
mod stage;
mod steps;
mod to_external;
mod to_plateau;
mod to_searched;
mod to_tied;

pub use error::DemoError;
pub use play::{Agent, InProcess, Play, Told};
pub use stage::{Cost, Stage};
