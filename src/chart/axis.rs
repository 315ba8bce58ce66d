//! One axis: its title with the unit, its range, and how ticks read.

use std::ops::Range;

use super::numbers::short;

#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Title with the unit: `p50 TTFT, ms`.
    pub title: String,
    range: Range<f64>,
    /// Ticks at most.
    pub ticks: usize,
    /// Values are logarithms to base 10 and ticks show what they stand for.
    pub log: bool,
}

impl Axis {
    /// From 0 to a little above the largest value.
    pub fn from_zero(title: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let most = values
            .into_iter()
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let most = if most > 0.0 { most * 1.06 } else { 1.0 };
        Self::spanning(title, 0.0..most)
    }

    /// Around all values, with a margin.
    pub fn around(title: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            least = least.min(value);
            most = most.max(value);
        }
        let margin = (most - least) * 0.08;
        Self::spanning(title, least - margin..most + margin)
    }

    /// Exactly this range; one that spans nothing is widened.
    pub fn spanning(title: impl Into<String>, range: Range<f64>) -> Self {
        let (start, end) = match range.start.is_finite() && range.end.is_finite() {
            true if range.end > range.start => (range.start, range.end),
            true => {
                let half = (range.start.abs() * 0.05).max(0.5);
                (range.start - half, range.start + half)
            }
            false => (0.0, 1.0),
        };
        Self {
            title: title.into(),
            range: start..end,
            ticks: 6,
            log: false,
        }
    }

    #[must_use]
    pub fn ticks(mut self, ticks: usize) -> Self {
        self.ticks = ticks;
        self
    }

    /// Values are logarithms to base 10.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.log = true;
        self
    }

    pub fn range(&self) -> Range<f64> {
        self.range.clone()
    }

    pub fn contains(&self, value: f64) -> bool {
        self.range.start <= value && value <= self.range.end
    }

    /// The nearest value on the axis.
    pub fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.range.start, self.range.end)
    }

    /// The tick's text.
    pub(super) fn tick(&self, value: f64) -> String {
        let span = self.range.end - self.range.start;
        if self.log {
            short(10.0_f64.powf(value))
        } else if value.abs() < span * 1e-9 {
            "0".to_owned()
        } else {
            short(value).replace('-', "−")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_never_empty_or_infinite() {
        for range in [
            0.0..0.0,
            5.0..5.0,
            f64::NAN..1.0,
            f64::INFINITY..f64::NEG_INFINITY,
        ] {
            let axis = Axis::spanning("t, s", range);
            assert!(axis.range().end > axis.range().start);
            assert!(axis.range().end.is_finite());
        }
        assert_eq!(Axis::from_zero("t, s", []).range(), 0.0..1.0);
        assert!(Axis::around("t, s", [3.0]).contains(3.0));
    }
}
