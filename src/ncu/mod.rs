//! Nsight Compute reports: reading them without `ncu`, and digesting them to
//! one next edit.

mod budget;
mod collect;
mod compare;
mod container;
mod csv;
mod csv_details;
mod csv_number;
mod csv_raw;
mod cubin;
mod decode;
mod decode_metrics;
mod decode_rules;
mod digest;
mod edit;
mod error;
mod facts;
mod group;
mod hotspots;
mod markdown;
mod permission;
mod read;
mod record;
mod report;
mod roofline;
mod rules;
mod wire;

pub use collect::{CollectRequest, argv as collect_argv};
pub use container::{ReadOptions, read_from, read_report};
pub use csv::{parse_csv, read_csv};
pub use digest::digest;
pub use error::{Flaw, NcuError, Problem};
pub use markdown::{markdown, next_version, row, write};
pub use permission::{
    CounterPermission, Counters, judge_permission, permission_argv, test_permission,
};
pub use read::{read, read_with};
pub use record::*;
pub use report::*;
pub use roofline::Roofline;

use crate::references::Replaceable;

/// The catalogues of this room that a user may replace.
pub(crate) const CATALOGUES: &[Replaceable] = &[
    Replaceable::new("ncu-metrics.toml", |_| facts::problem()),
    Replaceable::new("ncu-rules.toml", |_| rules::problem()),
    Replaceable::new("ncu-roofs.toml", |_| roofline::ROOFS.problem()),
    Replaceable::new("ncu-labels.toml", |_| csv_details::LABELS.problem()),
];
