//! What holds for any pairs.

use proptest::prelude::*;

use super::*;

fn series(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((50.0..200.0_f64, 50.0..200.0_f64), n)
}

fn sides(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    pairs.iter().copied().unzip()
}

proptest! {
    #[test]
    fn a_constant_factor_on_both_sides_changes_nothing(
        pairs in series(1..12), factor in 0.01..100.0_f64,
    ) {
        let (target, leader) = sides(&pairs);
        let scale = |values: &[f64]| values.iter().map(|v| v * factor).collect::<Vec<_>>();
        let plain = only(&versus(&target, &leader));
        let scaled = only(&versus(&scale(&target), &scale(&leader)));
        prop_assert_eq!(plain.verdict, scaled.verdict);
        prop_assert_eq!(plain.repeats_needed, scaled.repeats_needed);
        prop_assert!((plain.gap_pct.unwrap() - scaled.gap_pct.unwrap()).abs() < 1e-6);
    }

    #[test]
    fn swapping_the_sides_flips_the_verdict(pairs in series(1..12)) {
        let (target, leader) = sides(&pairs);
        let there = only(&versus(&target, &leader));
        let back = only(&versus(&leader, &target));
        let flipped = match there.verdict {
            Verdict::Ahead => Verdict::Behind,
            Verdict::Behind => Verdict::Ahead,
            same => same,
        };
        prop_assert_eq!(back.verdict, flipped);
        let log = |gap: &ScenarioGap| (gap.gap_pct.unwrap() / 100.0).ln_1p();
        prop_assert!((log(&there) + log(&back)).abs() < 1e-9);
        prop_assert_eq!(there.repeats_needed, back.repeats_needed);
    }

    #[test]
    fn more_repeats_never_widen_the_interval_of_the_same_spread(
        spread in 0.0..1.0_f64, n in 2_u32..200,
    ) {
        prop_assert!(half_width(spread, n + 1) <= half_width(spread, n));
    }

    #[test]
    fn the_order_of_rows_does_not_matter(pairs in series(2..8), seed in any::<u64>()) {
        let (target, leader) = sides(&pairs);
        let ordered = versus(&target, &leader);
        let mut shuffled = ordered.clone();
        let len = shuffled.rows.len() as u64;
        for i in 0..len {
            shuffled.rows.swap(i as usize, (seed.rotate_left(i as u32) % len) as usize);
        }
        let (a, b) = (only(&ordered), only(&shuffled));
        prop_assert_eq!(a.verdict, b.verdict);
        prop_assert_eq!(a.pairs, b.pairs);
    }
}
