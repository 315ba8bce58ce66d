//! Mean and percentiles of raw values.

/// Sorted values, none of them NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    sorted: Vec<f64>,
    mean: f64,
}

impl Distribution {
    /// Takes the values in any order; NaN is left out.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Self { sorted, mean }
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Arithmetic mean; `None` without a value.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then_some(self.mean)
    }

    /// The `percent`-th percentile by linear interpolation between the closest
    /// ranks, NumPy's default (`method="linear"`, type 7 of Hyndman and Fan,
    /// 1996); `None` without a value.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let rank = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
        let below = rank.floor() as usize;
        let low = *self.sorted.get(below)?;
        let high = *self.sorted.get((below + 1).min(last))?;
        Some(lerp(low, high, rank - below as f64))
    }
}

/// Interpolates from the nearer end, as NumPy does, so that the last bits agree.
fn lerp(low: f64, high: f64, part: f64) -> f64 {
    if part >= 0.5 {
        high - (high - low) * (1.0 - part)
    } else {
        low + (high - low) * part
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ranks 0 to 4: the 40th percentile lies at 1.6, the 99th at 3.96.
    #[test]
    fn percentiles_are_numpys() {
        let values = Distribution::new([15.0, 20.0, 35.0, 40.0, 50.0]);
        assert_eq!(values.mean(), Some(32.0));
        assert_eq!(values.percentile(0.0), Some(15.0));
        assert_eq!(values.percentile(40.0), Some(29.0));
        assert_eq!(values.percentile(50.0), Some(35.0));
        assert_eq!(values.percentile(99.0), Some(49.6));
        assert_eq!(values.percentile(100.0), Some(50.0));
    }

    #[test]
    fn nothing_has_no_mean_and_no_percentile() {
        let nothing = Distribution::new([f64::NAN]);
        assert_eq!((nothing.mean(), nothing.percentile(50.0)), (None, None));
        let one = Distribution::new([7.0]);
        assert_eq!(one.percentile(99.0), Some(7.0));
    }

    proptest! {
        #[test]
        fn percentiles_rise_and_stay_within_the_values(
            values in prop::collection::vec(-1e9..1e9_f64, 1..50),
            a in 0.0..100.0_f64,
            b in 0.0..100.0_f64,
        ) {
            let distribution = Distribution::new(values.iter().copied());
            let (low, high) = (a.min(b), a.max(b));
            let (low, high) = (
                distribution.percentile(low).unwrap(),
                distribution.percentile(high).unwrap(),
            );
            prop_assert!(low <= high);
            prop_assert!(distribution.percentile(0.0).unwrap() <= low);
            prop_assert!(high <= distribution.percentile(100.0).unwrap());
        }
    }
}
