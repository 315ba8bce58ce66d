//! Nanoseconds and shares as they stand in records.

/// Microseconds with every nanosecond kept.
pub(super) fn microseconds(ns: i64) -> f64 {
    ns as f64 / 1000.0
}

/// Rounds to a number of decimals, so that records read well.
pub(super) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

/// A part in percent of a whole; 0 of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole * 100.0
    } else {
        0.0
    }
}
