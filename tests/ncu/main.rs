//! Nsight Compute reports, checked against what ncu itself printed for them.

mod fixtures;
mod reading;
