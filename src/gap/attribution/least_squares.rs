//! Robust non-negative least squares in three unknowns.

/// One observation: `features · unknowns` should be `value`.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    pub features: [f64; 3],
    pub value: f64,
}

/// What is believed before any observation: a mean and a standard deviation
/// for each unknown.
#[derive(Debug, Clone, Copy)]
pub struct Belief {
    pub mean: [f64; 3],
    pub deviation: [f64; 3],
}

/// Rounds of reweighting.
const ROUNDS: usize = 10;
/// Relative error of an observation below which noise is not told apart.
const LEAST_NOISE: f64 = 0.001;

/// Fits unknowns of at least 0 by iteratively reweighted least squares on
/// relative errors, with Tukey's biweight: what lies beyond 4.685 standard
/// deviations counts nothing (Beaton and Tukey, 1974). Longer observations
/// weigh more. None without observations.
pub fn fit(observations: &[Observation], belief: Option<&Belief>) -> Option<[f64; 3]> {
    const TUKEY: f64 = 4.685;
    let total: f64 = observations.iter().map(|o| o.value).sum();
    if observations.is_empty() || total <= 0.0 {
        return None;
    }
    let base = observations.len() as f64 / total;
    let mut robust = vec![1.0; observations.len()];
    let mut noise = 0.05;
    let mut unknowns = [0.0; 3];
    for _ in 0..ROUNDS {
        let mut normal = [[0.0; 3]; 3];
        let mut right = [0.0; 3];
        for (observation, robust) in observations.iter().zip(&robust) {
            let weight = base * observation.value * robust / (noise * noise);
            let scaled = observation.features.map(|f| f / observation.value);
            for (i, row) in normal.iter_mut().enumerate() {
                for (j, cell) in row.iter_mut().enumerate() {
                    *cell += weight * scaled[i] * scaled[j];
                }
                right[i] += weight * scaled[i];
            }
        }
        if let Some(belief) = belief {
            for i in 0..3 {
                let precision = belief.deviation[i].max(f64::MIN_POSITIVE).powi(-2);
                normal[i][i] += precision;
                right[i] += precision * belief.mean[i];
            }
        }
        unknowns = non_negative(&normal, &right);
        let errors: Vec<f64> = observations
            .iter()
            .map(|o| (1.0 - dot(&o.features, &unknowns) / o.value).abs())
            .collect();
        noise = (1.4826 * median(&errors)).max(LEAST_NOISE);
        for (robust, error) in robust.iter_mut().zip(&errors) {
            let u = error / (TUKEY * noise);
            *robust = if u < 1.0 { (1.0 - u * u).powi(2) } else { 0.0 };
        }
    }
    Some(unknowns)
}

pub fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The best solution among those in which some unknowns are 0: seven cases.
fn non_negative(normal: &[[f64; 3]; 3], right: &[f64; 3]) -> [f64; 3] {
    let mut best = ([0.0; 3], 0.0);
    for mask in 1..8_usize {
        let Some(solution) = solve(normal, right, mask) else {
            continue;
        };
        if solution.iter().any(|x| *x < 0.0) {
            continue;
        }
        // The quadratic form without its constant.
        let cost: f64 = (0..3)
            .map(|i| solution[i] * (dot(&normal[i], &solution) - 2.0 * right[i]))
            .sum();
        if cost < best.1 {
            best = (solution, cost);
        }
    }
    best.0
}

/// Solves for the unknowns of the mask by elimination; the others are 0.
fn solve(normal: &[[f64; 3]; 3], right: &[f64; 3], mask: usize) -> Option<[f64; 3]> {
    let active: Vec<usize> = (0..3).filter(|i| mask >> i & 1 == 1).collect();
    let n = active.len();
    // Scaled to a unit diagonal: the features differ by many orders.
    let scale: Vec<f64> = active.iter().map(|i| normal[*i][*i].sqrt()).collect();
    if scale.iter().any(|s| *s <= 0.0 || !s.is_finite()) {
        return None;
    }
    let mut rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut row: Vec<f64> = (0..n)
                .map(|j| normal[active[i]][active[j]] / (scale[i] * scale[j]))
                .collect();
            row.push(right[active[i]] / scale[i]);
            row
        })
        .collect();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| rows[*a][i].abs().total_cmp(&rows[*b][i].abs()))?;
        rows.swap(i, pivot);
        if rows[i][i].abs() < 1e-9 {
            return None;
        }
        let (above, below) = rows.split_at_mut(i + 1);
        let pivot = &above[i];
        for row in below {
            let factor = row[i] / pivot[i];
            for (cell, above) in row.iter_mut().zip(pivot).skip(i) {
                *cell -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 3];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n)
            .map(|c| rows[i][c] * solution[active[c]] * scale[c])
            .sum();
        solution[active[i]] = (rows[i][n] - known) / rows[i][i] / scale[i];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observations(unknowns: [f64; 3]) -> Vec<Observation> {
        (1..40)
            .map(|i| {
                let n = f64::from(i % 7 + 1);
                let features = [1.0, n, n * f64::from(i) * 100.0];
                Observation {
                    features,
                    value: dot(&features, &unknowns),
                }
            })
            .collect()
    }

    #[test]
    fn finds_exact_unknowns_in_spite_of_outliers() {
        let mut observations = observations([6.0, 0.02, 0.0005]);
        observations[5].value *= 3.0;
        observations[20].value *= 5.0;
        let found = fit(&observations, None).unwrap();
        for (found, expected) in found.iter().zip([6.0, 0.02, 0.0005]) {
            assert!((found / expected - 1.0).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn never_goes_below_zero() {
        let mut observations = observations([6.0, 0.0, 0.0005]);
        for (i, o) in observations.iter_mut().enumerate() {
            o.value *= 1.0 + 0.01 * ((i % 3) as f64 - 1.0);
        }
        assert!(fit(&observations, None).unwrap().iter().all(|x| *x >= 0.0));
    }

    #[test]
    fn belief_decides_what_the_observations_cannot() {
        // The second feature is always twice the first.
        let observations: Vec<Observation> = (1..20)
            .map(|i| Observation {
                features: [1.0, 2.0, f64::from(i)],
                value: 10.0 + f64::from(i),
            })
            .collect();
        let belief = Belief {
            mean: [6.0, 2.0, 1.0],
            deviation: [1.0, 1.0, 1.0],
        };
        let found = fit(&observations, Some(&belief)).unwrap();
        assert!((found[0] - 6.0).abs() < 0.01 && (found[1] - 2.0).abs() < 0.01);
        assert!((found[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(fit(&[], None), None);
    }
}
