//! Whether two reports measured the same work, and what the edit moved.

use std::collections::BTreeSet;

use super::edit::Choice;
use super::facts::Facts;
use super::group::{Group, spread_pct};
use super::record::{Check, Comparison, Intended, MetricMove, Verdict};
use super::rules::{Direction, Rules, Target};

/// One side of a comparison.
pub(super) struct Side<'a> {
    pub group: &'a Group<'a>,
    pub facts: &'a Facts,
}

/// Pairs the baseline's group with the candidate's: the same kernel if it is
/// there, else the longest name in common, else the hottest of each.
pub(super) fn pair(baseline: &[Group], candidate: &[Group]) -> Option<(usize, usize)> {
    let pairs = (0..baseline.len()).flat_map(|b| (0..candidate.len()).map(move |c| (b, c)));
    // Groups come hottest first, and `max_by_key` takes the last of equals.
    pairs
        .rev()
        .max_by_key(|&(b, c)| likeness(&baseline[b], &candidate[c]))
}

/// Same shape, same name, words of the name in common.
fn likeness(a: &Group, b: &Group) -> (bool, bool, usize) {
    let (Some(a), Some(b)) = (a.launch(), b.launch()) else {
        return (false, false, 0);
    };
    let same = a.name == b.name;
    let shape = same && (a.grid, a.block) == (b.grid, b.block);
    (shape, same, shared_words(&a.function, &b.function).len())
}

/// Time of all launches, in ns.
pub(super) fn total_time(group: &Group) -> f64 {
    group.values("gpu__time_duration.sum").iter().sum()
}

/// Compares one kernel before and after.
pub(super) fn compare(
    base: &Side,
    cand: &Side,
    rules: &Rules,
    baseline_choice: &Choice,
) -> Comparison {
    let checks = checks(base, cand, rules);
    let comparable = checks
        .iter()
        .all(|check| check.passed || is_advice(&check.check));
    let times = |side: &Side| side.group.values("gpu__time_duration.sum");
    let (base_times, cand_times) = (times(base), times(cand));
    let noise_pct = rules
        .noise_pct
        .max(spread_pct(&base_times))
        .max(spread_pct(&cand_times));
    let (base_ns, cand_ns) = (base.facts.value("time_ns"), cand.facts.value("time_ns"));
    let ratio = base_ns
        .zip(cand_ns)
        .filter(|(before, _)| *before > 0.0)
        .map(|(before, after)| after / before);
    let verdict = match ratio {
        Some(ratio) if comparable => verdict(ratio, noise_pct),
        _ => Verdict::NotComparable,
    };
    Comparison {
        verdict,
        duration_ratio: ratio,
        noise_pct,
        baseline_kernel: base.group.name().to_string(),
        candidate_kernel: cand.group.name().to_string(),
        baseline_us: base_ns.map(|ns| ns / 1e3),
        candidate_us: cand_ns.map(|ns| ns / 1e3),
        moved: moved(base.facts, cand.facts, rules),
        intended: baseline_choice
            .rule
            .map(|rule| intended(&rule.id, &rule.target, base.facts, cand.facts, rules)),
        checks,
    }
}

fn verdict(ratio: f64, noise_pct: f64) -> Verdict {
    let band = noise_pct / 100.0;
    if ratio < 1.0 - band {
        Verdict::Improved
    } else if ratio > 1.0 + band {
        Verdict::Regressed
    } else {
        Verdict::Neutral
    }
}

/// A failed check of these is reported, but does not forbid the comparison.
fn is_advice(check: &str) -> bool {
    matches!(check, "clock_rate" | "duration" | "grid")
}

fn checks(base: &Side, cand: &Side, rules: &Rules) -> Vec<Check> {
    let mut checks = vec![
        device(base, cand),
        name(base, cand),
        dtype(base, cand),
        work(base, cand),
        grid(base, cand),
    ];
    checks.extend(clocks(base, cand, rules));
    let shortest = [base, cand]
        .iter()
        .filter_map(|side| side.facts.value("time_ns"))
        .fold(f64::INFINITY, f64::min);
    checks.push(Check {
        check: "duration".to_string(),
        passed: shortest >= rules.short_launch_ns,
        detail: if shortest >= rules.short_launch_ns {
            "long enough to compare by time".to_string()
        } else {
            format!(
                "{:.1} us is so short that fixed costs rule: compare counts, not time",
                shortest / 1e3
            )
        },
    });
    checks
}

fn check(name: &str, passed: bool, detail: String) -> Check {
    Check {
        check: name.to_string(),
        passed,
        detail,
    }
}

fn device(base: &Side, cand: &Side) -> Check {
    let of = |side: &Side| {
        let name = side
            .group
            .session
            .devices
            .first()
            .map(|device| device.name.clone());
        let chip = side
            .group
            .launch()
            .map_or((0, 0), |launch| launch.compute_capability);
        (name.unwrap_or_default(), chip)
    };
    let ((a, a_chip), (b, b_chip)) = (of(base), of(cand));
    let named = a.is_empty() || b.is_empty() || a == b;
    let shown = |name: &str, (major, minor): (u32, u32)| format!("{name} (cc {major}.{minor})");
    check(
        "device",
        named && a_chip == b_chip,
        format!("{} and {}", shown(&a, a_chip), shown(&b, b_chip)),
    )
}

fn name(base: &Side, cand: &Side) -> Check {
    let of = |side: &Side| {
        side.group
            .launch()
            .map_or_else(String::new, |launch| launch.function.clone())
    };
    let (a, b) = (of(base), of(cand));
    let shared = shared_words(&a, &b);
    check(
        "name",
        a == b || !shared.is_empty(),
        if a == b {
            format!("both are {a}")
        } else if shared.is_empty() {
            format!("{a} and {b} share no word: they look like different kernels")
        } else {
            format!("{a} and {b} share {}", shared.join(", "))
        },
    )
}

/// Words of a function name that say what it computes, in common.
fn shared_words(a: &str, b: &str) -> Vec<String> {
    let words = |name: &str| -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        let mut word = String::new();
        for c in name.chars() {
            let boundary = !c.is_ascii_alphabetic()
                || (c.is_ascii_uppercase()
                    && word.ends_with(|last: char| last.is_ascii_lowercase()));
            if boundary {
                words.insert(std::mem::take(&mut word));
            }
            if c.is_ascii_alphabetic() {
                word.push(c.to_ascii_lowercase());
            }
        }
        words.insert(word);
        words.retain(|word| word.len() > 2 && !GENERIC.contains(&word.as_str()));
        words
    };
    let theirs = words(b);
    words(a)
        .into_iter()
        .filter(|word| theirs.contains(word))
        .collect()
}

/// Words that say how, not what.
const GENERIC: [&str; 12] = [
    "kernel",
    "void",
    "vec",
    "vectorized",
    "naive",
    "fast",
    "impl",
    "device",
    "global",
    "opt",
    "the",
    "sm_",
];

fn dtype(base: &Side, cand: &Side) -> Check {
    let of = |side: &Side| types(side.group.name());
    let (a, b) = (of(base), of(cand));
    let passed = a.is_empty() || b.is_empty() || a.intersection(&b).next().is_some();
    let shown = |types: &BTreeSet<&str>| {
        if types.is_empty() {
            "unnamed".to_string()
        } else {
            types.iter().copied().collect::<Vec<_>>().join(", ")
        }
    };
    check("dtype", passed, format!("{} and {}", shown(&a), shown(&b)))
}

/// Element types that a demangled name speaks of; vector types count as their element.
fn types(name: &str) -> BTreeSet<&'static str> {
    const TYPES: [(&str, &str); 16] = [
        ("bfloat16", "bf16"),
        ("nv_bfloat162", "bf16"),
        ("nv_bfloat16", "bf16"),
        ("bf16", "bf16"),
        ("half", "fp16"),
        ("half2", "fp16"),
        ("fp16", "fp16"),
        ("float8_e4m3fn", "fp8"),
        ("e4m3", "fp8"),
        ("fp8", "fp8"),
        ("float", "fp32"),
        ("float2", "fp32"),
        ("float4", "fp32"),
        ("double", "fp64"),
        ("int8_t", "int8"),
        ("signed char", "int8"),
    ];
    let lower = name.to_ascii_lowercase();
    let words: BTreeSet<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map(|word| word.trim_start_matches('_'))
        .collect();
    TYPES
        .iter()
        .filter(|(word, _)| words.contains(word))
        .map(|(_, kind)| *kind)
        .collect()
}

/// The same work stores the same bytes, however it is cut into blocks.
fn work(base: &Side, cand: &Side) -> Check {
    let stored = |side: &Side| {
        let lsu = side.facts.value("lsu_stored_bytes");
        let tma = side.facts.value("tma_store_sectors").unwrap_or(0.0) * 32.0;
        lsu.map(|bytes| bytes + tma).filter(|bytes| *bytes > 0.0)
    };
    match stored(base).zip(stored(cand)) {
        Some((a, b)) => {
            let close = (a - b).abs() <= 0.05 * a.max(b);
            let verb = if close {
                "store"
            } else {
                "do not store the same:"
            };
            check(
                "work",
                close,
                format!("they {verb} {a:.0} and {b:.0} useful bytes"),
            )
        }
        None => check(
            "work",
            true,
            "not verified: stored bytes were not collected".to_string(),
        ),
    }
}

fn grid(base: &Side, cand: &Side) -> Check {
    let threads = |side: &Side| {
        side.group.launch().map_or(0.0, |launch| {
            launch
                .grid
                .iter()
                .chain(&launch.block)
                .map(|&size| size as f64)
                .product()
        })
    };
    let (a, b) = (threads(base), threads(cand));
    check("grid", a == b, format!("{a:.0} and {b:.0} threads"))
}

fn clocks(base: &Side, cand: &Side, rules: &Rules) -> Vec<Check> {
    let mut checks = Vec::new();
    let locked = |side: &Side| side.group.launch().and_then(|launch| launch.clocks_locked);
    if let Some((a, b)) = locked(base).zip(locked(cand)) {
        let word = |(_, done): (bool, bool)| if done { "locked" } else { "free" };
        checks.push(check(
            "clock_control",
            a == b,
            format!("clocks were {} and {}", word(a), word(b)),
        ));
    }
    if let Some((a, b)) = base.facts.value("sm_hz").zip(cand.facts.value("sm_hz")) {
        let apart = (a - b).abs() / a.max(b) * 100.0;
        checks.push(check(
            "clock_rate",
            apart <= rules.clock_pct,
            format!("SM clocks were {:.2} and {:.2} GHz", a / 1e9, b / 1e9),
        ));
    }
    checks
}

fn moved(base: &Facts, cand: &Facts, rules: &Rules) -> Vec<MetricMove> {
    let mut moved: Vec<_> = rules
        .moved
        .quantities
        .iter()
        .filter_map(|quantity| {
            let (before, after) = (base.get(quantity)?, cand.get(quantity)?);
            let change = relative(before.value, after.value);
            let significant =
                change.map_or(after.value != 0.0, |pct| pct.abs() >= rules.moved.least_pct);
            significant.then(|| MetricMove {
                metric: after.metric.clone(),
                baseline: before.value,
                candidate: after.value,
                change_pct: change,
            })
        })
        .collect();
    let size = |entry: &MetricMove| entry.change_pct.map_or(f64::INFINITY, f64::abs);
    moved.sort_by(|a, b| size(b).total_cmp(&size(a)));
    moved
}

fn relative(before: f64, after: f64) -> Option<f64> {
    (before != 0.0).then(|| (after - before) / before.abs() * 100.0)
}

fn intended(rule: &str, target: &Target, base: &Facts, cand: &Facts, rules: &Rules) -> Intended {
    let (before, after) = (base.value(&target.quantity), cand.value(&target.quantity));
    let least = rules.moved.least_pct;
    let moved = match (target.direction, before, after) {
        (Direction::Known, _, after) => after.is_some(),
        (direction, Some(before), Some(after)) => {
            let change = relative(before, after).unwrap_or(if after == 0.0 { 0.0 } else { 100.0 });
            if direction == Direction::Up {
                change >= least
            } else {
                change <= -least
            }
        }
        _ => false,
    };
    Intended {
        rule: rule.to_string(),
        metric: base
            .get(&target.quantity)
            .map_or_else(|| target.quantity.clone(), |fact| fact.metric.clone()),
        baseline: before,
        candidate: after,
        moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_share_a_word_that_says_what_is_computed() {
        assert_eq!(
            shared_words("transpose_naive", "transpose_tiled"),
            ["transpose"]
        );
        assert_eq!(shared_words("rmsnorm_scalar", "rmsnorm_vec"), ["rmsnorm"]);
        assert_eq!(
            shared_words("fusedRmsNormKernel", "rms_norm_kernel"),
            ["norm", "rms"]
        );
        assert!(shared_words("transpose_naive", "saxpy_lean").is_empty());
        assert!(shared_words("silu_kernel", "gelu_kernel").is_empty());
    }

    #[test]
    fn types_are_read_from_the_signature() {
        let of = |name| types(name).into_iter().collect::<Vec<_>>();
        assert_eq!(
            of("saxpy_lean(const float4 *, const float4 *, float4 *, int)"),
            ["fp32"]
        );
        assert_eq!(of("rmsnorm(const __nv_bfloat16 *, int)"), ["bf16"]);
        assert_eq!(
            of("void at::layer_norm<c10::BFloat16, float>(int)"),
            ["bf16", "fp32"]
        );
        assert!(of("nvjet_sm90_tst_64x8").is_empty());
    }

    #[test]
    fn differences_within_the_noise_are_neutral() {
        assert_eq!(verdict(0.98, 3.0), Verdict::Neutral);
        assert_eq!(verdict(0.96, 3.0), Verdict::Improved);
        assert_eq!(verdict(1.04, 3.0), Verdict::Regressed);
        assert_eq!(verdict(0.9, 12.0), Verdict::Neutral);
    }
}
