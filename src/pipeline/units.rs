//! Nanoseconds of the trace's clock as numbers for people.

use crate::trace::Trace;

/// Microseconds, to the nanosecond.
pub(super) fn micros(ns: i64) -> f64 {
    ns as f64 / 1000.0
}

/// Microseconds since the trace's first event.
pub(super) fn from_first(trace: &Trace, ns: i64) -> f64 {
    micros(ns - trace.first_ns.unwrap_or(0))
}

/// To a thousandth: a nanosecond of microseconds, a thousandth of a percent.
pub(super) fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
