//! Nsight Compute reports, checked against what ncu itself printed for them.

mod digesting;
mod fixtures;
mod hostile;
mod reading;
