//! The gap of one scenario at one load.

use super::candidates::{Candidate, Yardstick, beats, best, group, listed};
use super::fairness::{self, differences};
use super::interval::{Sample, bootstrap};
use super::record::{GapRequest, Other, Pair, ScenarioGap, SealedLeader, Unfair, Verdict};
use super::rows::Row;
use super::{DRIFT_REPORTED, DRIFT_UNFAIR, MAX_REPEATS, margin, one_pair_margin};
use crate::load_point::load_point;

/// The rows of one scenario at one load.
pub struct Cell<'a> {
    pub scenario: &'a str,
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<f64>,
    pub rows: Vec<&'a Row>,
}

impl Cell<'_> {
    /// The scenario with its load, for messages.
    pub fn place(&self) -> String {
        load_point(self.scenario, self.request_rate, self.max_concurrency)
    }

    fn sealed<'s>(&self, leaders: &'s [SealedLeader]) -> Option<&'s SealedLeader> {
        leaders.iter().find(|leader| {
            leader.scenario == self.scenario
                && leader.request_rate == self.request_rate
                && leader.max_concurrency == self.max_concurrency
        })
    }
}

/// What is known once the candidates are chosen.
struct Contest<'c, 'a> {
    target: Option<&'c Candidate<'a>>,
    leader: Option<&'c Candidate<'a>>,
    /// Every other framework's best, the best of them first.
    others: Vec<&'c Candidate<'a>>,
}

/// Compares the target with the leader in one cell. `proven` are frameworks
/// that have an ok row anywhere, which shows that they can run at all.
pub fn compare(
    cell: &Cell,
    request: &GapRequest,
    yardstick: Yardstick,
    proven: &[&str],
    warnings: &mut Vec<String>,
) -> ScenarioGap {
    let place = cell.place();
    let candidates = tried(
        group(&cell.rows, yardstick.metric, &place, warnings),
        &place,
        warnings,
    );
    let sealed = cell.sealed(&request.sealed_leaders);
    let contest = choose(&candidates, request, sealed, yardstick, &place, warnings);
    let (mut gap, sample) = measured_gap(cell, &contest, yardstick);
    judge(&mut gap, &contest, sample, proven, &place, warnings);
    if let (Some(target), Some(leader)) = (contest.target, contest.leader) {
        gap.fairness = differences(target, leader, &request.declared_differences);
        warn_thin_pairs(&gap, target, leader, &place, warnings);
    }
    if let Some((sealed, mean)) = sealed.zip(contest.leader.and_then(Candidate::mean)) {
        check_drift(
            &mut gap,
            yardstick.log_ratio(mean, sealed.mean),
            sealed,
            &place,
            warnings,
        );
    }
    gap
}

/// Leaves out candidates whose every row was skipped or cancelled: nothing is known of them.
fn tried<'a>(
    candidates: Vec<Candidate<'a>>,
    place: &str,
    warnings: &mut Vec<String>,
) -> Vec<Candidate<'a>> {
    let (tried, untried): (Vec<_>, Vec<_>) = candidates.into_iter().partition(Candidate::was_tried);
    if !untried.is_empty() {
        let names: Vec<String> = untried.iter().map(Candidate::name).collect();
        warnings.push(format!(
            "{place}: skipped or cancelled in every repeat, left out: {}",
            listed(&names)
        ));
    }
    tried
}

fn choose<'c, 'a>(
    candidates: &'c [Candidate<'a>],
    request: &GapRequest,
    sealed: Option<&SealedLeader>,
    yardstick: Yardstick,
    place: &str,
    warnings: &mut Vec<String>,
) -> Contest<'c, 'a> {
    let mut frameworks: Vec<&str> = Vec::new();
    for candidate in candidates {
        if !frameworks.contains(&candidate.framework) {
            frameworks.push(candidate.framework);
        }
    }
    let mut pick = |framework: &str| -> Option<&'c Candidate<'a>> {
        let own: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.framework == framework)
            .collect();
        let passing: Vec<_> = own.iter().copied().filter(|c| c.passes_sla()).collect();
        best(
            if passing.is_empty() { &own } else { &passing },
            yardstick,
            place,
            warnings,
        )
    };
    let target = pick(&request.target);
    let mut others: Vec<&Candidate> = frameworks
        .into_iter()
        .filter(|framework| *framework != request.target)
        .filter_map(&mut pick)
        .collect();
    others.sort_by(|a, b| {
        let rank = |candidate: &Candidate| (!candidate.passes_sla(), candidate.mean().is_none());
        rank(a).cmp(&rank(b)).then_with(|| {
            if beats(a, b, yardstick) {
                std::cmp::Ordering::Less
            } else if beats(b, a, yardstick) {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
    });
    let leader = match sealed {
        None => others.first().copied(),
        Some(sealed) => {
            let found = candidates.iter().find(|candidate| {
                candidate.framework == sealed.framework
                    && candidate.candidate_id == sealed.candidate_id
            });
            if found.is_none() {
                warnings.push(format!(
                    "{place}: the sealed leader {}/{} has no row",
                    sealed.framework, sealed.candidate_id
                ));
            }
            found
        }
    };
    Contest {
        target,
        leader,
        others,
    }
}

/// The numbers of the comparison, before any rule is applied.
fn measured_gap(
    cell: &Cell,
    contest: &Contest,
    yardstick: Yardstick,
) -> (ScenarioGap, Option<Sample>) {
    let pairs: Vec<(u32, f64, f64)> = match (contest.target, contest.leader) {
        (Some(target), Some(leader)) => target.pairs_with(leader),
        _ => Vec::new(),
    };
    let logs: Vec<f64> = pairs
        .iter()
        .map(|(_, target, leader)| yardstick.log_ratio(*target, *leader))
        .collect();
    let sample = Sample::of(&logs);
    let gap = ScenarioGap {
        scenario: cell.scenario.to_owned(),
        request_rate: cell.request_rate,
        max_concurrency: cell.max_concurrency,
        verdict: Verdict::Undecided,
        reason: String::new(),
        n: logs.len() as u32,
        gap_pct: sample.map(|sample| percent(sample.mean)),
        ci_pct: sample
            .and_then(|sample| sample.interval())
            .map(|bounds| bounds.map(percent)),
        bootstrap_ci_pct: bootstrap(&logs).map(|bounds| bounds.map(percent)),
        not_behind: false,
        repeats_needed: None,
        target: contest.target.map(Candidate::side),
        leader: contest.leader.map(Candidate::side),
        pairs: pairs
            .iter()
            .zip(&logs)
            .map(|((repeat, target, leader), log)| Pair {
                repeat: *repeat,
                target: *target,
                leader: *leader,
                gap_pct: percent(*log),
            })
            .collect(),
        others: contest
            .others
            .iter()
            .map(|other| against(contest.target, other, yardstick))
            .collect(),
        fairness: Vec::new(),
        drift_pct: None,
        attribution: None,
        where_to_look: None,
        look_at: None,
        attributed_repeat: None,
        explanation: None,
    };
    (gap, sample)
}

fn against(target: Option<&Candidate>, other: &Candidate, yardstick: Yardstick) -> Other {
    let logs: Vec<f64> = target
        .map(|target| target.pairs_with(other))
        .unwrap_or_default()
        .iter()
        .map(|(_, mine, theirs)| yardstick.log_ratio(*mine, *theirs))
        .collect();
    Other {
        framework: other.framework.to_owned(),
        candidate_id: other.candidate_id.to_owned(),
        mean: other.mean(),
        sla_passed: other.passes_sla(),
        gap_pct: Sample::of(&logs).map(|sample| percent(sample.mean)),
    }
}

/// Applies the rules in order: something to compare, the SLA, then the interval.
fn judge(
    gap: &mut ScenarioGap,
    contest: &Contest,
    sample: Option<Sample>,
    proven: &[&str],
    place: &str,
    warnings: &mut Vec<String>,
) {
    let (Some(target), Some(leader)) = (contest.target, contest.leader) else {
        let missing = if contest.target.is_none() {
            "the target has no row here"
        } else {
            "no comparison framework has a row here"
        };
        rule(gap, Verdict::Blocked, false, missing);
        return;
    };
    match (target.passes_sla(), leader.passes_sla()) {
        (true, true) => judge_sample(gap, sample),
        (false, true) => rule(
            gap,
            Verdict::Behind,
            false,
            "the target failed or missed the SLA, another framework passes it",
        ),
        (true, false) if proven.contains(&leader.framework) => {
            rule(gap, Verdict::Ahead, true, "only the target passes the SLA");
            warnings.push(format!(
                "{place}: no comparison framework passes the SLA; look at leader.failures \
                 before relying on this"
            ));
        }
        (true, false) => rule(
            gap,
            Verdict::Blocked,
            false,
            "no comparison framework ever ran to the end, so there is nothing to compare with",
        ),
        (false, false) => rule(gap, Verdict::Blocked, false, "nobody passes the SLA"),
    }
}

/// The verdict of the interval, of one pair, or at the cap of repeats.
fn judge_sample(gap: &mut ScenarioGap, sample: Option<Sample>) {
    let Some(sample) = sample else {
        rule(
            gap,
            Verdict::Undecided,
            false,
            "target and leader share no repeat with a measured value",
        );
        gap.repeats_needed = Some(1);
        return;
    };
    let Some([low, high]) = sample.interval() else {
        judge_one_pair(gap, sample);
        return;
    };
    let not_behind = low > -margin();
    let (verdict, reason) = if low > margin() {
        (Verdict::Ahead, "the interval lies above +1%")
    } else if high < -margin() {
        (Verdict::Behind, "the interval lies below −1%")
    } else if low >= -margin() && high <= margin() {
        (Verdict::Tied, "the interval lies within ±1%")
    } else if sample.n >= MAX_REPEATS {
        (
            region(sample.mean),
            "the interval crosses a bound at the cap of 10 repeats: the point estimate decides",
        )
    } else {
        gap.repeats_needed = Some(sample.repeats_to_decide());
        let reason = if sample.decides_within_cap() {
            "the interval crosses a bound"
        } else {
            "the interval crosses a bound; at this spread ten repeats would leave it to the \
             point estimate"
        };
        (Verdict::Undecided, reason)
    };
    rule(gap, verdict, not_behind, reason);
}

fn judge_one_pair(gap: &mut ScenarioGap, sample: Sample) {
    if sample.mean.abs() > one_pair_margin() {
        let verdict = region(sample.mean);
        rule(
            gap,
            verdict,
            verdict == Verdict::Ahead,
            "one pair alone, beyond ±5%",
        );
    } else {
        rule(
            gap,
            Verdict::Undecided,
            false,
            "one pair alone decides only beyond ±5%",
        );
        gap.repeats_needed = Some(sample.repeats_to_decide());
    }
}

fn region(mean: f64) -> Verdict {
    if mean > margin() {
        Verdict::Ahead
    } else if mean < -margin() {
        Verdict::Behind
    } else {
        Verdict::Tied
    }
}

fn rule(gap: &mut ScenarioGap, verdict: Verdict, not_behind: bool, reason: &str) {
    gap.verdict = verdict;
    gap.not_behind = not_behind;
    reason.clone_into(&mut gap.reason);
}

fn warn_thin_pairs(
    gap: &ScenarioGap,
    target: &Candidate,
    leader: &Candidate,
    place: &str,
    warnings: &mut Vec<String>,
) {
    let most = target.measured().max(leader.measured());
    if (gap.n as usize) < most {
        warnings.push(format!(
            "{place}: {} pairs from {} repeats of the target and {} of the leader; \
             unpaired repeats are left out",
            gap.n,
            target.measured(),
            leader.measured()
        ));
    }
    let launches = [&gap.target, &gap.leader]
        .into_iter()
        .flatten()
        .filter_map(|side| side.launches)
        .min();
    // Neighbours share a launch by default, so that their number stands beside n.
    if launches == Some(1) && gap.n > 1 {
        warnings.push(format!(
            "{place}: {} pairs rest on one server launch of one side; the interval shows \
             nothing of what differs from launch to launch",
            gap.n
        ));
    }
}

fn check_drift(
    gap: &mut ScenarioGap,
    drift: f64,
    sealed: &SealedLeader,
    place: &str,
    warnings: &mut Vec<String>,
) {
    gap.drift_pct = Some(percent(drift));
    if drift.abs() > DRIFT_REPORTED.ln() {
        warnings.push(format!(
            "{place}: the sealed leader {}/{} drifted by {:+.1}% from its sealed rows",
            sealed.framework,
            sealed.candidate_id,
            percent(drift)
        ));
    }
    if drift.abs() > DRIFT_UNFAIR.ln() {
        gap.fairness.push(Unfair {
            field: fairness::DRIFT.to_owned(),
            target: "unchanged machine expected".to_owned(),
            leader: format!("{:+.1}% from its sealed rows", percent(drift)),
        });
    }
}

impl ScenarioGap {
    /// The scenario with its load, for people.
    pub fn place(&self) -> String {
        load_point(&self.scenario, self.request_rate, self.max_concurrency)
    }

    /// Whether the point estimate lies within ±1%.
    pub(super) fn is_small(&self) -> bool {
        self.gap_pct
            .is_some_and(|gap| (gap / 100.0).ln_1p().abs() <= margin())
    }
}

/// A log-ratio in percent.
pub fn percent(log: f64) -> f64 {
    log.exp_m1() * 100.0
}
