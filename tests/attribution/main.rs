//! Where the time between two runs went: recorded runs of real engines, and
//! simulated engines with planted causes.

mod planted;
mod recorded;
mod support;
