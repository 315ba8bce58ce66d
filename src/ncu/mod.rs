//! Nsight Compute reports: reading them without `ncu`, and digesting them to
//! one next edit.

mod budget;
mod container;
mod csv;
mod csv_details;
mod csv_number;
mod csv_raw;
mod decode;
mod decode_metrics;
mod decode_rules;
mod error;
mod read;
mod report;
mod wire;

pub use container::{ReadOptions, read_from, read_report};
pub use csv::{parse_csv, read_csv};
pub use error::{Flaw, NcuError, Problem};
pub use read::{read, read_with};
pub use report::*;
