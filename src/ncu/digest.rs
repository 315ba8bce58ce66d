//! The digest: reports in, one record with exactly one next edit out.

use crate::detail::Detail;
use std::collections::BTreeMap;
use std::path::Path;

use regex::RegexBuilder;

use super::collect;
use super::compare::{self, Side, total_time};
use super::container::ReadOptions;
use super::edit::{self, Choice};
use super::error::NcuError;
use super::facts::{Definitions, Facts, is_progress};
use super::group::{Group, groups, spread_pct};
use super::hotspots::Finder;
use super::read::read_with;
use super::record::{
    DigestRecord, DigestRequest, Environment, Hotspot, KernelDigest, MetricMove, Occupancy,
    RuleSummary, Stall, TriedEdit, Verdict,
};
use super::report::{Launch, MessageKind, Report, SpeedupScope};
use super::roofline::Roofline;
use super::rules::Rules;

/// How much of a kernel is shown.
struct Sizes {
    stalls: usize,
    rules: usize,
    hotspots: usize,
    /// Characters of a name and of a rule's message.
    name: usize,
    message: usize,
    metrics: Shown,
}

#[derive(PartialEq)]
enum Shown {
    All,
    Headline,
    Throughput,
}

const FULL: Sizes = Sizes {
    stalls: usize::MAX,
    rules: usize::MAX,
    hotspots: 12,
    name: usize::MAX,
    message: usize::MAX,
    metrics: Shown::All,
};
/// The kernel that gets the edit, in a short digest.
const SUBJECT: Sizes = Sizes {
    stalls: 4,
    rules: 3,
    hotspots: 3,
    name: 200,
    message: 120,
    metrics: Shown::Headline,
};
/// The other kernels of a short digest.
const BRIEF: Sizes = Sizes {
    stalls: 2,
    rules: 0,
    hotspots: 0,
    name: 80,
    message: 0,
    metrics: Shown::Throughput,
};
/// Kernels in a short digest.
const BRIEF_KERNELS: usize = 4;
/// Moves that a short digest names, the largest first.
const BRIEF_MOVES: usize = 6;

/// Digests one report, or compares two, and names exactly one next edit.
///
/// # Errors
/// [`NcuError::Report`] or [`NcuError::Csv`] for a file that cannot be read,
/// [`NcuError::Pattern`] and [`NcuError::NoMatch`] for `kernel`,
/// [`NcuError::Empty`] for a report without launches.
pub fn digest(request: &DigestRequest) -> Result<DigestRecord, NcuError> {
    let definitions = Definitions::load()?;
    let rules = Rules::load(&definitions)?;
    let engine = Engine {
        definitions: &definitions,
        rules: &rules,
        request,
    };
    engine.digest()
}

struct Engine<'a> {
    definitions: &'a Definitions,
    rules: &'a Rules,
    request: &'a DigestRequest,
}

impl Engine<'_> {
    fn digest(&self) -> Result<DigestRecord, NcuError> {
        let options = ReadOptions {
            time_series: false,
            sections: false,
            ..ReadOptions::default()
        };
        let load = |path: &Path| -> Result<Report, NcuError> {
            let report = read_with(path, &options)?;
            if report.launches.is_empty() {
                return Err(NcuError::Empty {
                    path: path.to_path_buf(),
                });
            }
            Ok(report)
        };
        let baseline = load(&self.request.baseline)?;
        let base_groups = self.matching(&baseline, &self.request.baseline)?;
        let Some(path) = &self.request.candidate else {
            return Ok(self.record(&baseline, &self.request.baseline, &base_groups, None));
        };
        let candidate = load(path)?;
        let cand_groups = self.matching(&candidate, path)?;
        Ok(self.record(&candidate, path, &cand_groups, Some(&base_groups)))
    }

    /// Groups whose kernel matches, hottest first.
    fn matching<'r>(&self, report: &'r Report, path: &Path) -> Result<Vec<Group<'r>>, NcuError> {
        let pattern = self.request.kernel.as_deref().unwrap_or("");
        let regex = RegexBuilder::new(pattern)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| NcuError::Pattern {
                pattern: pattern.to_string(),
                problem: error.to_string(),
            })?;
        let mut found = groups(report, |launch| {
            regex.is_match(&launch.name) || regex.is_match(&launch.function)
        });
        if found.is_empty() {
            let mut kernels: Vec<_> = report
                .launches
                .iter()
                .map(|launch| shorten(&launch.name, 60))
                .collect();
            kernels.sort();
            kernels.dedup();
            kernels.truncate(20);
            return Err(NcuError::NoMatch {
                path: path.to_path_buf(),
                pattern: pattern.to_string(),
                kernels,
            });
        }
        found.sort_by(|a, b| {
            total_time(b)
                .total_cmp(&total_time(a))
                .then(a.first_id.cmp(&b.first_id))
        });
        Ok(found)
    }

    fn record(
        &self,
        report: &Report,
        path: &Path,
        found: &[Group],
        baseline: Option<&[Group]>,
    ) -> DigestRecord {
        let full = self.request.detail == Detail::Full;
        let most = if full { usize::MAX } else { BRIEF_KERNELS };
        let finder = Finder {
            report,
            path,
            source: self.request.source.as_deref(),
        };
        let mut record = DigestRecord {
            environment: environment(report),
            total: found.len(),
            truncated: found.len() > most,
            ..DigestRecord::default()
        };
        let pair = baseline
            .and_then(|baseline| compare::pair(baseline, found).map(|(b, c)| (baseline, b, c)));
        let subject = pair.map_or(0, |(_, _, candidate)| candidate);
        let mut tried = self.request.tried.clone();
        if let Some((baseline, b, c)) = pair {
            self.comparison(&baseline[b], &found[c], &mut tried, &mut record);
        }
        if let Some(comparison) = record.comparison.as_mut().filter(|_| !full) {
            shorten_moves(&mut comparison.moved);
        }
        for (at, group) in found.iter().enumerate() {
            if at >= most && at != subject {
                continue;
            }
            let sizes = match (full, at == subject) {
                (true, _) => &FULL,
                (false, true) => &SUBJECT,
                (false, false) => &BRIEF,
            };
            let facts = self.definitions.facts(group);
            let choice = edit::choose(self.rules, &facts, group.name(), &tried);
            let hotspots = if sizes.hotspots == 0 {
                Vec::new()
            } else {
                finder.hotspots(group, FULL.hotspots)
            };
            if at == subject {
                record.next_edit = Some(edit::next_edit(
                    &choice, self.rules, &facts, group, &finder, &hotspots,
                ));
                self.advise(&choice, group, &facts, &mut record);
            }
            record
                .kernels
                .push(self.kernel(group, &facts, &choice, hotspots, sizes));
        }
        self.next_step(&mut record);
        record
    }

    fn comparison(
        &self,
        base: &Group,
        cand: &Group,
        tried: &mut Vec<TriedEdit>,
        record: &mut DigestRecord,
    ) {
        let (base_facts, cand_facts) = (self.definitions.facts(base), self.definitions.facts(cand));
        let choice = edit::choose(self.rules, &base_facts, base.name(), tried);
        let side = |group, facts| Side { group, facts };
        let comparison = compare::compare(
            &side(base, &base_facts),
            &side(cand, &cand_facts),
            self.rules,
            &choice,
        );
        // Other blocks for the same bytes are what many edits are about.
        let verified = comparison.checks.iter().any(|check| {
            check.check == "work" && check.passed && !check.detail.starts_with("not verified")
        });
        let odd = comparison
            .checks
            .iter()
            .filter(|check| !check.passed)
            .filter(|check| check.check != "grid" || !verified);
        for failed in odd {
            record
                .warnings
                .push(format!("{}: {}", failed.check, failed.detail));
        }
        // The edit that the baseline called for did nothing here: do not call for it again.
        if let (Some(rule), Some(intended)) = (choice.rule, &comparison.intended)
            && matches!(comparison.verdict, Verdict::Neutral | Verdict::Regressed)
            && !intended.moved
            && base.name() != cand.name()
        {
            record.warnings.push(format!(
                "the baseline called for {}, and {} did not move: it is not proposed again",
                rule.id, intended.metric
            ));
            tried.push(TriedEdit {
                rule: rule.id.clone(),
                kernel: String::new(),
            });
        }
        record.comparison = Some(comparison);
    }

    /// Warnings, and the commands that would collect what is missing.
    fn advise(&self, choice: &Choice, group: &Group, facts: &Facts, record: &mut DigestRecord) {
        if let Some(ns) = facts
            .value("time_ns")
            .filter(|ns| *ns < self.rules.short_launch_ns)
        {
            record.warnings.push(format!(
                "{:.1} us is so short that fixed costs rule: trust counts more than time",
                ns / 1e3
            ));
        }
        let (_, sections) = edit::lacking(choice, self.definitions);
        if !sections.is_empty() {
            let function = group.launch().map_or("", |launch| launch.function.as_str());
            record.collect = collect::argv(&collect::CollectRequest {
                kernel: format!("regex:^{}$", regex::escape(function)),
                sections,
                ..collect::CollectRequest::default()
            });
        }
    }

    fn next_step(&self, record: &mut DigestRecord) {
        let Some(edit) = &record.next_edit else {
            return;
        };
        record.next = match edit.gate.as_str() {
            "missing_metrics" => "profile the kernel alone with the command in `collect`, then digest that report".to_string(),
            _ if edit.stop => match record.kernels.iter().find(|kernel| is_worth_a_look(kernel, &edit.kernel)) {
                Some(other) => format!(
                    "nothing to edit here; the hottest kernel that is not at a roof: kernel = `^{}`",
                    regex::escape(&other.name.chars().take(60).collect::<String>())
                ),
                None => "nothing to edit here; go to another kernel of the profile, or to fusion".to_string(),
            },
            _ => "make this one edit, profile the same launch again, and call ncu_digest with this report as baseline and the new one as candidate".to_string(),
        };
    }

    fn kernel(
        &self,
        group: &Group,
        facts: &Facts,
        choice: &Choice,
        mut hotspots: Vec<Hotspot>,
        sizes: &Sizes,
    ) -> KernelDigest {
        let launch = group.launch();
        let (bound, bound_reason) = edit::bound(choice, facts);
        let (missing, _) = edit::lacking(choice, self.definitions);
        hotspots.truncate(sizes.hotspots);
        for hotspot in &mut hotspots {
            hotspot.pct = brief(hotspot.pct, sizes);
        }
        KernelDigest {
            name: shorten(group.name(), sizes.name),
            launches: group.launches.len(),
            duration_us: facts.value("time_ns").map(|ns| ns / 1e3),
            duration_spread_pct: brief(spread_pct(&group.values("gpu__time_duration.sum")), sizes),
            grid: launch.map_or([0; 3], |launch| launch.grid),
            block: launch.map_or([0; 3], |launch| launch.block),
            bound,
            bound_reason,
            stalls: stalls(facts, sizes),
            occupancy: occupancy(facts, sizes),
            roofline: Roofline::of(group),
            metrics: metrics(facts, sizes),
            missing,
            rules: launch.map_or_else(Vec::new, |launch| self.ncu_rules(launch, sizes)),
            hotspots,
        }
    }

    fn ncu_rules(&self, launch: &Launch, sizes: &Sizes) -> Vec<RuleSummary> {
        let all = sizes.metrics == Shown::All;
        let mut rules: Vec<_> = launch
            .messages()
            .filter(|(rule, _, message)| {
                !self.rules.ignore.contains(&rule.identifier)
                    && (all || message.kind != MessageKind::Ok)
            })
            .map(|(rule, item, message)| RuleSummary {
                rule: rule.identifier.clone(),
                section: rule.section.clone(),
                title: message.title.clone(),
                message: shorten(&message.text, sizes.message),
                speedup_scope: item
                    .speedup
                    .map_or(SpeedupScope::Unknown, |speedup| speedup.scope),
                speedup_pct: item.speedup.map(|speedup| brief(speedup.percent, sizes)),
            })
            .collect();
        let rank = |rule: &RuleSummary| {
            (
                rule.speedup_scope == SpeedupScope::Global,
                rule.speedup_pct.unwrap_or(-1.0),
            )
        };
        rules.sort_by(|a, b| {
            rank(b)
                .partial_cmp(&rank(a))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        rules.truncate(sizes.rules);
        rules
    }
}

/// In a short digest fractions have six significant digits; counts stay whole.
fn brief(value: f64, sizes: &Sizes) -> f64 {
    if sizes.metrics == Shown::All || value.fract() == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.5e}").parse().unwrap_or(value)
}

fn shorten_moves(moves: &mut Vec<MetricMove>) {
    moves.truncate(BRIEF_MOVES);
    for moved in moves {
        moved.baseline = brief(moved.baseline, &SUBJECT);
        moved.candidate = brief(moved.candidate, &SUBJECT);
        moved.change_pct = moved.change_pct.map(|pct| brief(pct, &SUBJECT));
    }
}

/// Another kernel than the one with the edit, and not at a roof itself.
fn is_worth_a_look(kernel: &KernelDigest, edited: &str) -> bool {
    !edited.starts_with(kernel.name.trim_end_matches("..."))
        && !kernel.bound_reason.starts_with("roof")
}

fn stalls(facts: &Facts, sizes: &Sizes) -> Vec<Stall> {
    let mut stalls: Vec<_> = facts
        .iter()
        .filter_map(|(name, fact)| Some((name.strip_prefix("stall.")?, fact.value)))
        .filter(|(reason, pct)| !is_progress(reason) && *pct >= 0.05)
        .map(|(reason, pct)| Stall {
            reason: reason.to_string(),
            pct: brief(pct, sizes),
        })
        .collect();
    stalls.sort_by(|a, b| b.pct.total_cmp(&a.pct));
    stalls.truncate(sizes.stalls);
    stalls
}

fn occupancy(facts: &Facts, sizes: &Sizes) -> Occupancy {
    Occupancy {
        theoretical_pct: facts
            .value("theoretical_occupancy_pct")
            .map(|pct| brief(pct, sizes)),
        achieved_pct: facts
            .value("achieved_occupancy_pct")
            .map(|pct| brief(pct, sizes)),
        limiter: facts
            .iter()
            .find(|(name, fact)| name.starts_with("limited_by.") && fact.value > 0.0)
            .and_then(|(name, _)| Some(name.strip_prefix("limited_by.")?.to_string())),
    }
}

/// Plain metrics by their own name; formulas are cited in the edit only.
fn metrics(facts: &Facts, sizes: &Sizes) -> BTreeMap<String, f64> {
    let shown = |name: &str, headline: bool| match sizes.metrics {
        Shown::All => !["top.", "limited_by."]
            .iter()
            .any(|prefix| name.starts_with(prefix)),
        Shown::Headline => headline,
        Shown::Throughput => ["sm_pct", "dram_pct"].contains(&name),
    };
    facts
        .iter()
        .filter(|(name, fact)| shown(name, fact.headline) && !fact.metric.contains(' '))
        .map(|(_, fact)| (fact.metric.clone(), brief(fact.value, sizes)))
        .collect()
}

fn environment(report: &Report) -> Environment {
    let session = &report.session;
    let version = |provider: &str| {
        session
            .versions
            .iter()
            .find(|(known, _)| known.contains(provider))
            .map_or_else(String::new, |(_, version)| version.clone())
    };
    let launch = report.launches.first();
    let (major, minor) = launch.map_or((0, 0), |launch| launch.compute_capability);
    let asked = session
        .command
        .split_whitespace()
        .skip_while(|word| *word != "--set")
        .nth(1);
    let scheduler = launch.is_some_and(|launch| {
        launch
            .metrics
            .get("smsp__issue_active.avg.per_cycle_active")
            .is_some()
    });
    Environment {
        device: session
            .devices
            .first()
            .map_or_else(String::new, |device| device.name.clone()),
        compute_capability: format!("{major}.{minor}"),
        ncu_version: version("Nsight Compute"),
        driver_version: version("Driver"),
        cuda_version: version("CUDA"),
        clocks_locked: launch
            .and_then(|launch| launch.clocks_locked)
            .map(|(_, done)| done),
        metric_set: match asked {
            Some(set) => set.to_string(),
            None if scheduler => "with scheduler metrics".to_string(),
            None => "basic".to_string(),
        },
    }
}

/// Cuts a text at a character boundary and marks the cut.
fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((0, _)) => String::new(),
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_string(),
    }
}
