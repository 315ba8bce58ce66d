//! Whether a change to the target is right: its tests, and its greedy outputs
//! against those of the tree that it began from.
//!
//! [`submit`] starts a job; the job's supervisor calls [`run`]. Tests are
//! argument arrays run in the checkout; outputs come from the target's own
//! server, launched as it was measured, for 32 fixed prompts at temperature 0.
//! Both run where the plan's executor says: in its container, on its host.

mod error;
mod greedy;
mod payload;
mod remote;
mod run;
mod tests_of_attempt;

pub use error::ChecksError;
pub use greedy::{Agreement, Outputs, PROMPTS, compare};
pub use payload::{ChecksPayload, KIND, payload_of, submit};
pub use remote::conduct;
pub use run::{ChecksResult, TestResult, run};
