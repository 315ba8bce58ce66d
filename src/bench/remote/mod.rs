//! A benchmark on another host, as [`crate::remote`] runs it there: its tasks,
//! and its rows gathered while it goes on.

mod gathered;
mod share;
mod tasks;
mod work;

pub use share::{Part, Share};
pub use work::conduct;
