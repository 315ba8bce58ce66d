//! Fair shares of a difference among factors that act together.

/// More factors than this are not exchanged in every combination.
const MOST_EXACT: usize = 10;
/// Orders of exchange that are drawn beyond that.
const ORDERS: u64 = 64;

/// Shapley's value of each factor: its effect when it is exchanged, averaged
/// over all orders in which the factors can be exchanged one after the other
/// (Shapley, 1953). `value` takes a mask of exchanged factors; the shares sum
/// exactly to `value(all) − value(none)`. With many factors, or where
/// `budget` values are too few, the average runs over drawn orders, with a
/// fixed seed; the sum is exact all the same. None as soon as a value is.
pub fn shapley(
    factors: usize,
    budget: usize,
    mut value: impl FnMut(u32) -> Option<f64>,
) -> Option<Vec<f64>> {
    if factors <= MOST_EXACT && (1 << factors) <= budget {
        let values: Vec<f64> = (0..1_u32 << factors)
            .map(&mut value)
            .collect::<Option<_>>()?;
        return Some(exact(factors, &values));
    }
    let mut known = std::collections::HashMap::new();
    let mut value = |mask: u32| -> Option<f64> {
        if let Some(value) = known.get(&mask) {
            return Some(*value);
        }
        let found = value(mask)?;
        known.insert(mask, found);
        Some(found)
    };
    let mut shares = vec![0.0; factors];
    let orders = (budget / factors.max(1)).clamp(2, ORDERS as usize) / 2 * 2;
    let mut order: Vec<usize> = (0..factors).collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for turn in 0..orders {
        // Each drawn order is followed by its reverse, which halves the noise.
        if turn % 2 == 0 {
            shuffle(&mut order, &mut seed);
        } else {
            order.reverse();
        }
        let mut mask = 0;
        let mut before = value(0)?;
        for factor in &order {
            mask |= 1 << factor;
            let after = value(mask)?;
            if let Some(share) = shares.get_mut(*factor) {
                *share += (after - before) / orders as f64;
            }
            before = after;
        }
    }
    Some(shares)
}

fn exact(factors: usize, values: &[f64]) -> Vec<f64> {
    // A factor's weight after `size` others: 1 / (n · C(n − 1, size)).
    let weights: Vec<f64> = (0..factors)
        .scan(1.0, |choose, size| {
            let weight = 1.0 / (factors as f64 * *choose);
            *choose *= (factors - 1 - size) as f64 / (size + 1) as f64;
            Some(weight)
        })
        .collect();
    (0..factors)
        .map(|factor| {
            let bit = 1_usize << factor;
            (0..values.len())
                .filter(|mask| mask & bit == 0)
                .map(|mask| {
                    let weight = weights
                        .get(mask.count_ones() as usize)
                        .copied()
                        .unwrap_or(0.0);
                    weight * (values[mask | bit] - values[mask])
                })
                .sum()
        })
        .collect()
}

/// Fisher and Yates, with xorshift64*.
fn shuffle(order: &mut [usize], seed: &mut u64) {
    for i in (1..order.len()).rev() {
        *seed ^= *seed >> 12;
        *seed ^= *seed << 25;
        *seed ^= *seed >> 27;
        let drawn = seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        order.swap(i, (drawn % (i as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interaction_is_shared_evenly() {
        // 3 a + 5 b + 4 a b + 7 c.
        let value = |mask: u32| {
            let on = |i: u32| f64::from(mask >> i & 1);
            Some(3.0 * on(0) + 5.0 * on(1) + 4.0 * on(0) * on(1) + 7.0 * on(2))
        };
        let shares = shapley(3, 1 << 10, value).unwrap();
        for (share, expected) in shares.iter().zip([5.0, 7.0, 7.0]) {
            assert!((share - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn drawn_orders_sum_exactly_too() {
        let value = |mask: u32| Some(f64::from(mask.count_ones()).powi(2) + f64::from(mask & 1));
        let shares = shapley(12, 4_096, value).unwrap();
        let sum: f64 = shares.iter().sum();
        assert!((sum - 145.0).abs() < 1e-9);
        assert!((shares[0] - 13.0).abs() < 2.5);
    }

    #[test]
    fn one_value_that_is_missing_leaves_nothing() {
        assert_eq!(shapley(2, 100, |mask| (mask != 3).then_some(1.0)), None);
        assert_eq!(shapley(0, 100, |_| Some(1.0)), Some(vec![]));
    }
}
