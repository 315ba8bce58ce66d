//! Numbers and units as `ncu` prints them: thousands separators of any locale,
//! and units scaled for reading.

/// Which mark separates the fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Decimal {
    #[default]
    Point,
    Comma,
}

impl Decimal {
    /// Decides from all numeric cells of a file; cells such as `1,234` fit both and do not count.
    pub fn detect<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let (mut point, mut comma) = (0u64, 0u64);
        for cell in cells {
            match evidence(cell.trim()) {
                Some(Self::Point) => point += 1,
                Some(Self::Comma) => comma += 1,
                None => {}
            }
        }
        if comma > point {
            Self::Comma
        } else {
            Self::Point
        }
    }
}

fn evidence(cell: &str) -> Option<Decimal> {
    let numeric = |c: char| c.is_ascii_digit() || is_separator(c) || c == '-';
    if !cell.starts_with(|c: char| c.is_ascii_digit() || c == '-') || !cell.chars().all(numeric) {
        return None;
    }
    let last = cell.rfind([',', '.'])?;
    let mark = cell[last..].chars().next()?;
    let kind = |mark| {
        if mark == ',' {
            Decimal::Comma
        } else {
            Decimal::Point
        }
    };
    let other = if mark == ',' { '.' } else { ',' };
    let repeats = cell.matches(mark).count() > 1;
    let after = cell.len() - last - 1;
    let before = cell[..last].trim_start_matches('-').len();
    if cell.contains(other)
        || (!repeats && (after != 3 || before > 3 || cell[..last].ends_with('0') && before == 1))
    {
        Some(kind(mark))
    } else if repeats {
        Some(kind(other))
    } else {
        None
    }
}

fn is_separator(c: char) -> bool {
    matches!(
        c,
        ',' | '.' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}' | '_'
    )
}

/// A printed number, or `None` when the cell holds something else.
pub(super) fn number(cell: &str, decimal: Decimal) -> Option<f64> {
    let cell = cell.trim();
    let first = cell
        .strip_prefix(['-', '+'])
        .unwrap_or(cell)
        .chars()
        .next()?;
    if matches!(cell, "nan" | "NaN" | "-nan") {
        return Some(f64::NAN);
    }
    if matches!(cell, "inf" | "-inf") {
        return cell.parse().ok();
    }
    if !first.is_ascii_digit() && !is_separator(first) {
        return None;
    }
    let mark = match decimal {
        Decimal::Point => '.',
        Decimal::Comma => ',',
    };
    let plain: String = cell
        .chars()
        .filter(|&c| c == mark || !is_separator(c))
        .map(|c| if c == mark { '.' } else { c })
        .collect();
    plain.parse().ok()
}

/// By what a printed value must be multiplied to be in base units: ns, bytes,
/// hz, and per second for rates. An unknown unit counts as unscaled.
///
/// `Kbyte` below a fraction bar multiplies too: ncu scales such a value by the
/// prefix as if it stood above the bar.
pub(super) fn to_base(unit: &str) -> f64 {
    let (above, below) = unit.split_once('/').unwrap_or((unit, ""));
    let above = match nanoseconds(above) {
        Some(nanoseconds) => nanoseconds,
        None => prefix(above),
    };
    let below = match nanoseconds(below) {
        Some(nanoseconds) => 1e9 / nanoseconds,
        None => prefix(below),
    };
    above * below
}

fn nanoseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" | "nsecond" => 1.0,
        "us" | "usecond" => 1e3,
        "ms" | "msecond" => 1e6,
        "s" | "second" => 1e9,
        _ => return None,
    })
}

fn prefix(unit: &str) -> f64 {
    let scaled = |rest: &str| matches!(rest, "byte" | "hz" | "bytes" | "Hz");
    let mut chars = unit.chars();
    let factor = match chars.next() {
        Some('K' | 'k') => 1e3,
        Some('M') => 1e6,
        Some('G') => 1e9,
        Some('T') => 1e12,
        Some('P') => 1e15,
        _ => return 1.0,
    };
    if scaled(chars.as_str()) { factor } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_of_any_locale() {
        for (cell, decimal, expected) in [
            ("1,192,736", Decimal::Point, 1_192_736.0),
            ("1.192.736,25", Decimal::Comma, 1_192_736.25),
            ("1\u{202f}192\u{202f}736,25", Decimal::Comma, 1_192_736.25),
            ("1'192'736.25", Decimal::Point, 1_192_736.25),
            ("-0.5", Decimal::Point, -0.5),
            ("1.5e+06", Decimal::Point, 1.5e6),
        ] {
            assert_eq!(number(cell, decimal), Some(expected), "{cell}");
        }
        for cell in ["", "no data", "CachePreferNone", "(256, 1024, 1)", "-"] {
            assert_eq!(number(cell, Decimal::Point), None, "{cell}");
        }
    }

    #[test]
    fn finds_the_decimal_mark_from_unambiguous_cells() {
        let detect = |cells: &[&str]| Decimal::detect(cells.iter().copied());
        assert_eq!(detect(&["1,234", "5,678", "0.25"]), Decimal::Point);
        assert_eq!(detect(&["1.234", "5.678", "0,25"]), Decimal::Comma);
        assert_eq!(detect(&["1,192,736"]), Decimal::Point);
        assert_eq!(detect(&["1.192.736"]), Decimal::Comma);
        assert_eq!(detect(&["0.191"]), Decimal::Point);
        assert_eq!(detect(&["9.0", "(1, 2, 3)"]), Decimal::Point);
    }

    #[test]
    fn scales_units_to_base() {
        for (unit, factor) in [
            ("us", 1e3),
            ("ms", 1e6),
            ("usecond", 1e3),
            ("Kbyte", 1e3),
            ("Tbyte/s", 1e12),
            ("Gbyte/second", 1e9),
            ("sector/ns", 1e9),
            ("sector/ms", 1e3),
            ("Kbyte/cycle", 1e3),
            ("%/Kbyte", 1e3),
            ("Kbyte/block", 1e3),
            ("Ghz", 1e9),
            ("cycle/nsecond", 1e9),
            ("register/thread", 1.0),
            ("inst/cycle", 1.0),
            ("%", 1.0),
            ("", 1.0),
        ] {
            assert_eq!(to_base(unit), factor, "{unit}");
        }
    }
}
