//! Rows of one scenario and load, grouped into candidates, and the best of them.

use std::collections::BTreeMap;

use super::Better;
use super::record::Side;
use super::rows::Row;

/// A candidate with fewer repeats must beat one with more by this factor on the
/// repeats that both have, the same as the rule for one pair alone.
const FEWER_REPEATS_FACTOR: f64 = 1.05;

/// One candidate at one scenario and load.
#[derive(Debug)]
pub struct Candidate<'a> {
    pub framework: &'a str,
    pub candidate_id: &'a str,
    /// The row that counts for each repeat, and its value where measured.
    repeats: BTreeMap<u32, (&'a Row, Option<f64>)>,
}

/// Orders metric values so that greater is better.
#[derive(Debug, Clone, Copy)]
pub struct Yardstick<'a> {
    pub metric: &'a str,
    pub better: Better,
}

impl Yardstick<'_> {
    /// Log of how much better `a` is than `b`.
    pub fn log_ratio(&self, a: f64, b: f64) -> f64 {
        match self.better {
            Better::Higher => (a / b).ln(),
            Better::Lower => (b / a).ln(),
        }
    }
}

impl<'a> Candidate<'a> {
    /// Measured values by repeat.
    pub fn values(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.repeats
            .iter()
            .filter_map(|(repeat, (_, value))| value.map(|value| (*repeat, value)))
    }

    /// Rows of ok repeats.
    pub fn ok_rows(&self) -> impl Iterator<Item = &'a Row> + '_ {
        self.repeats
            .values()
            .filter(|(row, _)| row.status == super::Status::Ok)
            .map(|(row, _)| *row)
    }

    /// Number of measured repeats.
    pub fn measured(&self) -> usize {
        self.values().count()
    }

    /// Arithmetic mean of the measured repeats.
    pub fn mean(&self) -> Option<f64> {
        let n = self.measured();
        (n > 0).then(|| self.values().map(|(_, value)| value).sum::<f64>() / n as f64)
    }

    /// Whether no tried repeat failed or missed the SLA, and one finished.
    /// Skipped and cancelled repeats say nothing either way.
    pub fn passes_sla(&self) -> bool {
        self.ok_rows().next().is_some() && self.failures().next().is_none()
    }

    /// Whether any repeat ran to an end, good or bad.
    pub fn was_tried(&self) -> bool {
        self.repeats
            .values()
            .any(|(row, _)| row.status == super::Status::Ok || row.status.is_failure())
    }

    /// The values of repeats that both candidates have.
    pub fn pairs_with(&self, other: &Self) -> Vec<(u32, f64, f64)> {
        self.values()
            .filter_map(|(repeat, mine)| {
                let theirs = other.repeats.get(&repeat)?.1?;
                Some((repeat, mine, theirs))
            })
            .collect()
    }

    /// The ok rows of repeats that both candidates have.
    pub fn row_pairs_with(&self, other: &Self) -> Vec<(&'a Row, &'a Row)> {
        self.repeats
            .iter()
            .filter_map(|(repeat, (mine, _))| Some((*mine, other.repeats.get(repeat)?.0)))
            .filter(|(mine, theirs)| {
                mine.status == super::Status::Ok && theirs.status == super::Status::Ok
            })
            .collect()
    }

    fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.repeats.iter().filter_map(|(repeat, (row, _))| {
            if row.status.is_failure() {
                let reason = row
                    .failure_reason
                    .as_deref()
                    .unwrap_or("no reason recorded");
                Some(format!("repeat {repeat}: {}: {reason}", row.status.name()))
            } else if row.status == super::Status::Ok
                && row.sla.as_ref().and_then(|sla| sla.passed) == Some(false)
            {
                Some(format!("repeat {repeat}: missed the SLA"))
            } else {
                None
            }
        })
    }

    /// The candidate as a record shows it.
    pub fn side(&self) -> Side {
        let mut launches: Vec<u64> = self
            .ok_rows()
            .filter_map(|row| row.launch)
            .map(f64::to_bits)
            .collect();
        launches.sort_unstable();
        launches.dedup();
        Side {
            framework: self.framework.to_owned(),
            candidate_id: self.candidate_id.to_owned(),
            mean: self.mean(),
            repeats: self.measured() as u32,
            launches: (!launches.is_empty()).then_some(launches.len() as u32),
            sla_passed: self.passes_sla(),
            failures: self.failures().collect(),
        }
    }

    /// Framework and candidate, for messages.
    pub fn name(&self) -> String {
        format!("{}/{}", self.framework, self.candidate_id)
    }
}

/// Groups rows into candidates. Of several rows for one repeat the last ok one
/// counts, else the last one.
pub fn group<'a>(
    rows: &[&'a Row],
    metric: &str,
    place: &str,
    warnings: &mut Vec<String>,
) -> Vec<Candidate<'a>> {
    let mut slots: BTreeMap<(&'a str, &'a str), usize> = BTreeMap::new();
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let mut duplicates: Vec<String> = Vec::new();
    for row in rows.iter().copied() {
        let (framework, candidate_id) = (&*row.framework, &*row.candidate_id);
        let slot = *slots.entry((framework, candidate_id)).or_insert_with(|| {
            candidates.push(Candidate {
                framework,
                candidate_id,
                repeats: BTreeMap::new(),
            });
            candidates.len() - 1
        });
        let Some(candidate) = candidates.get_mut(slot) else {
            continue;
        };
        let value = measured(row, metric);
        let known_ok = candidate
            .repeats
            .get(&row.repeat)
            .map(|(known, _)| known.status == super::Status::Ok);
        if known_ok == Some(true) && row.status == super::Status::Ok {
            duplicates.push(format!("{} repeat {}", candidate.name(), row.repeat));
        }
        if known_ok != Some(true) || row.status == super::Status::Ok {
            candidate.repeats.insert(row.repeat, (row, value));
        }
    }
    if !duplicates.is_empty() {
        duplicates.dedup();
        warnings.push(format!(
            "{place}: several ok rows for one repeat, the last counts: {}",
            listed(&duplicates)
        ));
    }
    warn_unmeasured(&candidates, metric, place, warnings);
    candidates
}

fn measured(row: &Row, metric: &str) -> Option<f64> {
    match row.status {
        super::Status::Ok => row.metrics.get(metric),
        _ => None,
    }
}

fn warn_unmeasured(
    candidates: &[Candidate],
    metric: &str,
    place: &str,
    warnings: &mut Vec<String>,
) {
    let unmeasured: Vec<String> = candidates
        .iter()
        .flat_map(|candidate| {
            candidate
                .repeats
                .iter()
                .filter(|(_, (row, value))| row.status == super::Status::Ok && value.is_none())
                .map(|(repeat, (row, _))| {
                    let as_written = row
                        .metrics
                        .raw(metric)
                        .map_or_else(|| "absent".to_owned(), |value| value.to_string());
                    format!("{} repeat {repeat} ({as_written})", candidate.name())
                })
        })
        .collect();
    if !unmeasured.is_empty() {
        warnings.push(format!(
            "{place}: ok rows without a usable {metric} are left out: {}",
            listed(&unmeasured)
        ));
    }
}

/// The candidate that stands for its framework: the best mean among those with
/// the most repeats. One with fewer repeats, whose mean owes more to luck,
/// replaces it only when it is clearly better on the repeats that both have.
pub fn best<'c, 'a>(
    candidates: &[&'c Candidate<'a>],
    yardstick: Yardstick,
    place: &str,
    warnings: &mut Vec<String>,
) -> Option<&'c Candidate<'a>> {
    let most = candidates
        .iter()
        .map(|candidate| candidate.measured())
        .max()?;
    let full = candidates.iter().copied().filter(|c| c.measured() == most);
    let mut best = full.reduce(|best, next| {
        if beats(next, best, yardstick) {
            next
        } else {
            best
        }
    })?;
    let thin: Vec<_> = candidates
        .iter()
        .copied()
        .filter(|c| c.measured() < most && beats(c, best, yardstick))
        .collect();
    for candidate in thin {
        let shared = candidate.pairs_with(best);
        let logs: Vec<f64> = shared
            .iter()
            .map(|(_, mine, theirs)| yardstick.log_ratio(*mine, *theirs))
            .collect();
        let lead = match super::interval::Sample::of(&logs) {
            Some(sample) => sample.mean,
            None => log_of_means(candidate, best, yardstick).unwrap_or(f64::NEG_INFINITY),
        };
        let replaces = lead > FEWER_REPEATS_FACTOR.ln();
        warnings.push(format!(
            "{place}: {} has a better mean than {} on fewer repeats ({} against {}) and {}",
            candidate.name(),
            best.name(),
            candidate.measured(),
            best.measured(),
            if replaces {
                "is clearly better on shared ones: it counts; repeat it"
            } else {
                "is not clearly better on shared ones: it does not count"
            }
        ));
        if replaces {
            best = candidate;
        }
    }
    Some(best)
}

/// Whether `a` has the better mean.
pub fn beats(a: &Candidate, b: &Candidate, yardstick: Yardstick) -> bool {
    log_of_means(a, b, yardstick).map_or(a.mean().is_some(), |lead| lead > 0.0)
}

fn log_of_means(a: &Candidate, b: &Candidate, yardstick: Yardstick) -> Option<f64> {
    Some(yardstick.log_ratio(a.mean()?, b.mean()?))
}

/// A list of at most five, with the number of the others.
pub fn listed(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = items.iter().take(SHOWN).map(String::as_str).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
