//! Matching two kernel sequences in order.

/// The most pairs that an alignment weighs, by default about 25 MB.
const MOST_CELLS: usize = 25_000_000;

/// How alike two kernels are; 0 means that they never match.
pub(super) type Likeness = u8;

/// The best matching of two sequences in order: for each element of `left`
/// the element of `right` that it matches. It maximises the sum of the
/// likenesses of matched pairs (a weighted longest common subsequence).
///
/// Sequences too long to weigh all pairs are matched half by half.
pub(super) fn align(
    left: usize,
    right: usize,
    likeness: &dyn Fn(usize, usize) -> Likeness,
) -> Vec<Option<usize>> {
    if left == 0 || right == 0 {
        return vec![None; left];
    }
    if left.saturating_mul(right) <= MOST_CELLS {
        return align_whole(left, right, likeness);
    }
    let (left_half, right_half) = (left / 2, right / 2);
    let mut matched = align(left_half, right_half, likeness);
    let second = align(left - left_half, right - right_half, &|l, r| {
        likeness(l + left_half, r + right_half)
    });
    matched.extend(
        second
            .into_iter()
            .map(|found| found.map(|at| at + right_half)),
    );
    matched
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    SkipLeft,
    SkipRight,
    Match,
}

fn align_whole(
    left: usize,
    right: usize,
    likeness: &dyn Fn(usize, usize) -> Likeness,
) -> Vec<Option<usize>> {
    let mut steps = vec![Step::SkipLeft; left * right];
    let mut above = vec![0u32; right + 1];
    let mut here = vec![0u32; right + 1];
    for l in 0..left {
        for r in 0..right {
            let like = u32::from(likeness(l, r));
            let mut best = (above[r + 1], Step::SkipLeft);
            if here[r] > best.0 {
                best = (here[r], Step::SkipRight);
            }
            if like > 0 && above[r] + like >= best.0 {
                best = (above[r] + like, Step::Match);
            }
            here[r + 1] = best.0;
            steps[l * right + r] = best.1;
        }
        std::mem::swap(&mut above, &mut here);
    }
    trace_back(left, right, &steps)
}

fn trace_back(left: usize, right: usize, steps: &[Step]) -> Vec<Option<usize>> {
    let mut matched = vec![None; left];
    let (mut l, mut r) = (left, right);
    while l > 0 && r > 0 {
        match steps[(l - 1) * right + r - 1] {
            Step::SkipLeft => l -= 1,
            Step::SkipRight => r -= 1,
            Step::Match => {
                l -= 1;
                r -= 1;
                matched[l] = Some(r);
            }
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(left: &str, right: &str) -> Vec<Option<usize>> {
        let (l, r) = (left.as_bytes(), right.as_bytes());
        align(l.len(), r.len(), &|i, j| {
            if l[i] == r[j] {
                4
            } else {
                u8::from(l[i].eq_ignore_ascii_case(&r[j]))
            }
        })
    }

    #[test]
    fn order_is_kept_and_extra_elements_are_passed_over() {
        assert_eq!(matched("abcabc", "abXcabc"), [0, 1, 3, 4, 5, 6].map(Some));
        assert_eq!(matched("aXb", "ab"), [Some(0), None, Some(1)]);
        assert_eq!(matched("", "ab"), []);
        assert_eq!(matched("ab", ""), [None, None]);
    }

    #[test]
    fn an_exact_match_wins_over_a_loose_one() {
        assert_eq!(matched("a", "Aa"), [Some(1)]);
        assert_eq!(matched("aB", "Ab"), [Some(0), Some(1)]);
    }

    #[test]
    fn long_sequences_are_matched_in_pieces() {
        let found = align(6000, 6000, &|l, r| u8::from(l % 7 == r % 7));
        let right: Vec<usize> = found.iter().copied().flatten().collect();
        assert!(right.is_sorted() && right.len() > 5900);
    }
}
