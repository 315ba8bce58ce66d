//! Which passes of one kind are steady.

use super::record::PassState;

/// Fewer passes than this tell nothing.
const FEWEST: usize = 4;
/// A change is real when the fit improves by this many times the noise
/// variance and the logarithm of the number of passes (the Schwarz
/// criterion's penalty, doubled for the choice of place).
const PENALTY: f64 = 4.0;
/// Relative noise below which walls count as equal.
const LEAST_NOISE: f64 = 0.003;
/// A pass further from the steady wall time than this share, and than this
/// many times the usual deviation, is not steady.
const OUTLIER_SHARE: f64 = 0.05;
const OUTLIER_DEVIATIONS: f64 = 5.0;

/// The states of the passes of one kind, by their wall times in order.
///
/// The series of log walls is cut at its change points by binary
/// segmentation: a cut must lower the sum of squares by more than a penalty
/// that follows from the noise, which the differences of neighbours tell
/// (median absolute deviation). The longest stretch, of equals the latest,
/// gives the steady wall time; passes before the first that is near it are
/// cold.
pub(super) fn states(walls: &[f64]) -> Vec<PassState> {
    if walls.len() < FEWEST {
        return vec![PassState::Alone; walls.len()];
    }
    let logs: Vec<f64> = walls.iter().map(|wall| wall.max(1e-3).ln()).collect();
    let differences = logs
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .collect();
    // 1.4826 turns a median absolute deviation into a standard deviation, and
    // a difference of two has the square root of two times that of one.
    let noise = (1.4826 * median(differences) / std::f64::consts::SQRT_2).max(LEAST_NOISE);
    let penalty = PENALTY * noise * noise * (logs.len() as f64).ln();
    let mut cuts = vec![0, logs.len()];
    segment(&logs, 0, penalty, &mut cuts);
    cuts.sort_unstable();
    let steady = cuts
        .windows(2)
        .map(|pair| pair[0]..pair[1])
        .max_by_key(|stretch| (stretch.len(), stretch.start))
        .unwrap_or(0..0);
    let middle = median(logs[steady].to_vec());
    let reach = (OUTLIER_DEVIATIONS * noise).max(OUTLIER_SHARE);
    let near = |log: &f64| (log - middle).abs() <= reach;
    let warm = logs.iter().position(near).unwrap_or(0);
    let state = |(at, log): (usize, &f64)| match (near(log), at < warm) {
        (true, _) => PassState::Steady,
        (false, true) => PassState::Cold,
        (false, false) => PassState::Unsteady,
    };
    logs.iter().enumerate().map(state).collect()
}

fn segment(logs: &[f64], offset: usize, penalty: f64, cuts: &mut Vec<usize>) {
    let whole = spread(logs);
    let best = (1..logs.len())
        .map(|cut| (whole - spread(&logs[..cut]) - spread(&logs[cut..]), cut))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((gain, cut)) = best
        && gain > penalty
    {
        cuts.push(offset + cut);
        segment(&logs[..cut], offset, penalty, cuts);
        segment(&logs[cut..], offset + cut, penalty, cuts);
    }
}

/// Sum of squared distances from the mean.
fn spread(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum()
}

/// The middle value; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (0, Some(upper)) => (upper + values[middle - 1]) / 2.0,
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PassState::*;

    #[test]
    fn a_slow_start_is_cold_and_the_rest_steady() {
        let walls = [
            9000.0, 7000.0, 6400.0, 6420.0, 6390.0, 6410.0, 6400.0, 6395.0,
        ];
        let expected = [Cold, Cold, Steady, Steady, Steady, Steady, Steady, Steady];
        assert_eq!(states(&walls), expected);
    }

    #[test]
    fn even_walls_are_all_steady() {
        let walls = [100.0, 100.1, 99.9, 100.05, 99.95];
        assert_eq!(states(&walls), [Steady; 5]);
        assert_eq!(states(&[100.0; 6]), [Steady; 6]);
    }

    #[test]
    fn one_slow_pass_is_not_steady_and_its_neighbours_are() {
        let walls = [
            100.0, 101.0, 100.0, 180.0, 101.0, 100.0, 100.0, 101.0, 100.0,
        ];
        let found = states(&walls);
        assert_eq!(found[3], Unsteady);
        assert_eq!(found[8], Steady);
    }

    #[test]
    fn few_passes_tell_nothing() {
        assert_eq!(states(&[5.0, 5.0]), [Alone, Alone]);
        assert!(states(&[]).is_empty());
    }
}
