//! Student's t distribution for whole degrees of freedom.

use std::f64::consts::FRAC_PI_2;

/// Probability that |T| ≤ `t` with `df` degrees of freedom.
///
/// The finite trigonometric sums of Abramowitz and Stegun, *Handbook of
/// Mathematical Functions*, 26.7.3 (odd) and 26.7.4 (even), which are exact for
/// whole `df`.
pub fn two_sided_probability(t: f64, df: u32) -> f64 {
    let theta = (t / f64::from(df).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let cos2 = cos * cos;
    let odd = df % 2 == 1;
    if df == 1 {
        return theta / FRAC_PI_2;
    }
    let (mut term, first) = if odd { (cos, 3) } else { (1.0, 2) };
    let mut sum = term;
    for k in (first..df - 1).step_by(2) {
        let k = f64::from(k);

        term *= (k - 1.0) / k * cos2;
        sum += term;
    }
    if odd {
        (theta + sin * sum) / FRAC_PI_2
    } else {
        sin * sum
    }
}

/// The `t` with P(|T| ≤ t) = `confidence`, for `confidence` in (0, 1).
///
/// Bisection on [`two_sided_probability`], to the last bits of an `f64`.
pub fn two_sided_quantile(confidence: f64, df: u32) -> f64 {
    let mut high = 1.0;
    while two_sided_probability(high, df) < confidence && high < 1e12 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if two_sided_probability(middle, df) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two-sided 95% points as printed in common tables and to more digits by R's `qt(0.975, df)`.
    const T95: [(u32, f64); 12] = [
        (1, 12.706_204_736),
        (2, 4.302_652_730),
        (3, 3.182_446_305),
        (4, 2.776_445_105),
        (5, 2.570_581_836),
        (6, 2.446_911_851),
        (7, 2.364_624_252),
        (8, 2.306_004_135),
        (9, 2.262_157_163),
        (10, 2.228_138_852),
        (30, 2.042_272_456),
        (120, 1.979_930_405),
    ];

    #[test]
    fn quantiles_equal_the_published_table() {
        for (df, expected) in T95 {
            let found = two_sided_quantile(0.95, df);
            assert!((found - expected).abs() < 1e-6, "df {df}: {found}");
        }
    }

    #[test]
    fn other_levels_equal_the_published_table() {
        for (confidence, df, expected) in [
            (0.99, 5, 4.032_142_984),
            (0.90, 7, 1.894_578_605),
            (0.999, 10, 4.586_893_859),
            (0.50, 1, 1.0),
        ] {
            let found = two_sided_quantile(confidence, df);
            assert!(
                (found - expected).abs() < 1e-6,
                "{confidence} {df}: {found}"
            );
        }
    }

    #[test]
    fn many_degrees_of_freedom_approach_the_normal() {
        assert!((two_sided_quantile(0.95, 100_000) - 1.959_964).abs() < 5e-5);
    }
}
