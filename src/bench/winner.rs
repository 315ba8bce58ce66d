//! The best measured command of a framework, found again from its rows.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::candidate::{Candidate, candidates};
use super::plan::{Flags, Plan};
use super::ranking::{Standing, standings};
use super::request::BenchPayload;
use super::row::{Row, RowStatus, Workload};
use super::server::argv;
use super::{BenchError, rows_file};
use crate::job;
use crate::redact::redact_argv;

/// Whose command is wanted.
#[derive(Debug)]
pub struct WinnerQuery<'a> {
    /// A `candidates.jsonl`.
    pub rows: &'a Path,
    pub framework: &'a str,
    /// Default: the slowest scenario, which is the same one whichever framework
    /// is asked for.
    pub scenario: Option<&'a str>,
    /// The framework whose gap says which scenario is slowest; none: the
    /// scenario in which the first framework is furthest ahead of the second.
    pub target: Option<&'a str>,
    /// The plan that was measured; default: the one that the job recorded.
    pub plan: Option<Plan>,
    /// What a campaign has sealed; wins over what was measured since.
    pub sealed: Option<&'a SealedCommands>,
}

/// The commands that a campaign has sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedCommands {
    pub plan: Plan,
    pub commands: Vec<SealedCommand>,
}

/// The command of one framework for one scenario and load.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedCommand {
    pub scenario: String,
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<u32>,
    pub candidate: Candidate,
}

impl SealedCommands {
    /// A framework's command where it stands as `best` says; none where only
    /// others were sealed.
    fn of(&self, best: &Standing) -> Option<&Candidate> {
        let fits = |command: &&SealedCommand| {
            command.candidate.framework == best.framework
                && command.scenario == best.scenario
                && command.request_rate == best.request_rate
                && command.max_concurrency == best.max_concurrency
        };
        let found = self.commands.iter().find(fits);
        found.map(|command| &command.candidate)
    }
}

/// A framework's best candidate in one scenario.
#[derive(Debug, Clone)]
pub struct Winner {
    pub plan: Plan,
    pub candidate: Candidate,
    pub workload: Workload,
    /// Samples of each request of its run.
    pub raw: Option<PathBuf>,
    /// The command as it was measured.
    pub argv: Vec<String>,
    /// The framework that is first in the scenario.
    pub leader: String,
    /// Whether the command is the sealed one.
    pub sealed: bool,
    pub version: MeasuredVersion,
}

/// The framework's version when it was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredVersion {
    /// As the row has it.
    pub framework: Option<String>,
    /// As the server itself told it.
    pub server: Option<String>,
}

impl MeasuredVersion {
    /// The version of a server that is launched later: the one that was
    /// measured, unless the server now tells another than it did then.
    pub fn of_launch(&self, told: Option<&str>) -> Option<String> {
        let is_same = told.is_none() || told == self.server.as_deref();
        let measured = self.framework.clone().filter(|_| is_same);
        measured.or_else(|| told.map(str::to_owned))
    }
}

/// Label of rows that are only a trial.
const SMOKE: &str = "smoke";

/// Finds the winner in the newest job that measured the framework.
pub fn winner(query: WinnerQuery<'_>) -> Result<Winner, BenchError> {
    let all = rows_file::of_all(query.rows)?;
    let rows = newest_job(&all, &query);
    let (mut best, leader) = slowest_cell(&rows, &query).ok_or_else(|| none(&query, &rows))?;
    let sealed = query
        .sealed
        .and_then(|sealed| Some((&sealed.plan, sealed.of(&best)?)));
    if let Some((_, candidate)) = sealed {
        best.candidate_id.clone_from(&candidate.id);
    }
    let row = rows
        .iter()
        .rev()
        .chain(all.iter().rev())
        .find(|row| is_row_of(row, &best))
        .ok_or_else(|| none(&query, &rows))?;
    let (plan, candidate) = match (sealed, query.plan) {
        (Some((plan, candidate)), _) => (plan.clone(), candidate.clone()),
        (None, Some(plan)) => {
            let candidate = candidate_of(&plan, row)?;
            (plan, candidate)
        }
        (None, None) => {
            let plan = plan_of(row)?;
            let candidate = candidate_of(&plan, row)?;
            (plan, candidate)
        }
    };
    check_command(&plan, &candidate, row)?;
    Ok(Winner {
        sealed: sealed.is_some(),
        version: MeasuredVersion {
            framework: row.framework_version.clone(),
            server: row
                .server_settings
                .as_ref()
                .and_then(|settings| settings.version.clone()),
        },
        candidate,
        plan,
        workload: row.workload.clone(),
        raw: row.artifacts.raw_result.clone(),
        argv: row.server_argv.clone(),
        leader,
    })
}

fn fits(row: &Row, query: &WinnerQuery<'_>) -> bool {
    row.status == RowStatus::Ok
        && row.framework == query.framework
        && query
            .scenario
            .is_none_or(|scenario| row.workload.scenario == scenario)
}

/// Rows of the newest job that measured what is asked for; a trial counts only
/// where nothing else does.
fn newest_job(rows: &[Row], query: &WinnerQuery<'_>) -> Vec<Row> {
    let is_trial = |row: &Row| row.label.as_deref() == Some(SMOKE);
    let newest = |trial: bool| {
        rows.iter()
            .rev()
            .find(|row| fits(row, query) && (trial || !is_trial(row)))
    };
    let Some(newest) = newest(false).or_else(|| newest(true)) else {
        return rows.to_vec();
    };
    let of_job = |row: &&Row| row.job_id == newest.job_id;
    rows.iter().filter(of_job).cloned().collect()
}

/// The framework's best standing in the slowest scenario, and who leads there.
fn slowest_cell(rows: &[Row], query: &WinnerQuery<'_>) -> Option<(Standing, String)> {
    let mut slowest: Option<(f64, Standing, String)> = None;
    for cell in standings(rows) {
        let good: Vec<Standing> = cell
            .into_iter()
            .filter(|standing| {
                standing.ok > 0
                    && query
                        .scenario
                        .is_none_or(|scenario| standing.scenario == scenario)
            })
            .collect();
        let own = good
            .iter()
            .find(|standing| standing.framework == query.framework);
        let (Some(first), Some(own)) = (good.first(), own) else {
            continue;
        };
        let ratio = lag(&good, query.target);
        if slowest.as_ref().is_none_or(|(least, ..)| ratio < *least) {
            slowest = Some((ratio, own.clone(), first.framework.clone()));
        }
    }
    slowest.map(|(_, standing, leader)| (standing, leader))
}

/// Throughput of the target over the best of the others, or of the second
/// framework over the first. `good` is ordered, the fastest first.
fn lag(good: &[Standing], target: Option<&str>) -> f64 {
    let best = |wanted: &dyn Fn(&str) -> bool| {
        let found = good.iter().find(|standing| wanted(&standing.framework));
        found.and_then(|standing| standing.request_throughput)
    };
    let target = target.filter(|target| good.iter().any(|one| one.framework == *target));
    let (behind, ahead) = match (target, good.first()) {
        (Some(target), _) => (best(&|one| one == target), best(&|one| one != target)),
        (None, Some(first)) => (
            best(&|one| one != first.framework),
            first.request_throughput,
        ),
        (None, None) => (None, None),
    };
    match (behind, ahead) {
        (Some(behind), Some(ahead)) if ahead > 0.0 => behind / ahead,
        _ => 1.0,
    }
}

fn is_row_of(row: &Row, best: &Standing) -> bool {
    row.status == RowStatus::Ok
        && row.framework == best.framework
        && row.candidate_id == best.candidate_id
        && row.workload.scenario == best.scenario
        && row.workload.request_rate == best.request_rate
        && row.workload.max_concurrency == best.max_concurrency
}

fn none(query: &WinnerQuery<'_>, rows: &[Row]) -> BenchError {
    let mut measured: Vec<String> = rows
        .iter()
        .filter(|row| row.status == RowStatus::Ok)
        .map(|row| format!("{} {}", row.framework, row.workload.scenario))
        .collect();
    measured.sort_unstable();
    measured.dedup();
    BenchError::NoWinner {
        rows: query.rows.to_path_buf(),
        framework: query.framework.to_owned(),
        scenario: query.scenario.map(str::to_owned),
        measured,
    }
}

/// The plan that the row's job was given.
fn plan_of(row: &Row) -> Result<Plan, BenchError> {
    let gone = |reason: String| BenchError::PlanGone {
        job: row.job_id.clone(),
        reason,
    };
    let spec = job::open(&row.job_id)
        .and_then(|job| job.spec())
        .map_err(|error| gone(error.to_string()))?;
    serde_json::from_value::<BenchPayload>(spec.payload)
        .map(|payload| payload.plan)
        .map_err(|error| gone(error.to_string()))
}

fn candidate_of(plan: &Plan, row: &Row) -> Result<Candidate, BenchError> {
    let framework = plan
        .frameworks
        .get(&row.framework)
        .ok_or_else(|| BenchError::NoSuchFramework(row.framework.clone()))?;
    candidates(plan, &row.framework, framework)
        .list
        .into_iter()
        .find(|candidate| candidate.id == row.candidate_id)
        .ok_or_else(|| BenchError::CommandChanged {
            framework: row.framework.clone(),
            candidate: row.candidate_id.clone(),
            difference: "the plan no longer has this candidate".to_owned(),
        })
}

/// Refuses a plan that gives another command than the one that was measured;
/// only the port may differ.
fn check_command(plan: &Plan, candidate: &Candidate, row: &Row) -> Result<(), BenchError> {
    let framework = plan
        .frameworks
        .get(&row.framework)
        .ok_or_else(|| BenchError::NoSuchFramework(row.framework.clone()))?;
    let mut now = redact_argv(&argv(plan, framework, candidate, 0)?);
    let mut other_port = redact_argv(&argv(plan, framework, candidate, 1)?);
    let mut was = row.server_argv.as_slice();
    if plan.remote().is_some() {
        // Another host may have another entry point: flags are compared.
        let plain = Candidate {
            flags: Flags::new(),
            ..candidate.clone()
        };
        let entry = argv(plan, framework, &plain, 0)?.len().min(now.len());
        now.drain(..entry);
        other_port.drain(..entry);
        was = was
            .get(was.len().saturating_sub(now.len())..)
            .unwrap_or_default();
    }
    let differs = now
        .iter()
        .zip(&other_port)
        .zip(was)
        .find(|((now, other), was)| now == other && now != was)
        .map(|((now, _), was)| format!("`{was}` is now `{now}`"));
    let difference = match differs {
        Some(difference) => difference,
        None if now.len() != was.len() => {
            format!("it had {} arguments and has {}", was.len(), now.len())
        }
        None => return Ok(()),
    };
    Err(BenchError::CommandChanged {
        framework: row.framework.clone(),
        candidate: row.candidate_id.clone(),
        difference,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::metrics::RowMetrics;

    fn plan(flags: serde_json::Value) -> Plan {
        let plan = json!({
            "model": {"name": "m"},
            "dataset": {"num_prompts": 4, "scenario_names": ["chat"], "input_len": [8], "output_len": [8]},
            "search": {"output_dir": "out"},
            "frameworks": {"sglang": {
                "command": ["engine", "--port", "{port}"],
                "base_server_flags": {},
                "candidates": flags,
            }},
        });
        super::super::plan_from(&plan, Path::new("/w")).unwrap()
    }

    fn candidate(plan: &Plan) -> Candidate {
        let found = candidates(plan, "sglang", &plan.frameworks["sglang"]);
        found.list.into_iter().next().unwrap()
    }

    fn row(plan: &Plan, job: &str) -> Row {
        let candidate = candidate(plan);
        Row {
            framework: "sglang".to_owned(),
            framework_version: Some("1.0".to_owned()),
            candidate_id: candidate.id.clone(),
            status: RowStatus::Ok,
            job_id: job.to_owned(),
            workload: Workload {
                scenario: "chat".to_owned(),
                ..Workload::default()
            },
            metrics: Some(RowMetrics::default()),
            server_argv: argv(plan, &plan.frameworks["sglang"], &candidate, 30_000).unwrap(),
            ..Row::default()
        }
    }

    #[test]
    fn the_sealed_command_wins_over_what_was_measured_since() {
        let sealed = plan(json!({"base": {}}));
        let since = plan(json!({"base,fast=1": {"fast": 1}}));
        let dir = tempfile::tempdir().unwrap();
        let rows = dir.path().join("candidates.jsonl");
        let lines: Vec<String> = [row(&sealed, "bench-1"), row(&since, "bench-2")]
            .iter()
            .map(|row| serde_json::to_string(row).unwrap() + "\n")
            .collect();
        std::fs::write(&rows, lines.concat()).unwrap();
        let commands = SealedCommands {
            plan: sealed.clone(),
            commands: vec![SealedCommand {
                scenario: "chat".to_owned(),
                request_rate: None,
                max_concurrency: None,
                candidate: candidate(&sealed),
            }],
        };
        let asked = |plan, sealed| {
            winner(WinnerQuery {
                rows: &rows,
                framework: "sglang",
                scenario: None,
                target: None,
                plan,
                sealed,
            })
        };
        let found = asked(None, Some(&commands)).unwrap();
        assert!(found.sealed);
        assert_eq!(found.candidate, candidate(&sealed));
        assert_eq!(found.plan, sealed);
        assert_eq!(found.argv.last().unwrap(), "30000");
        let newest = asked(Some(since.clone()), None).unwrap();
        assert!(!newest.sealed);
        assert_eq!(newest.candidate, candidate(&since));
    }

    #[test]
    fn every_framework_is_asked_for_in_the_same_scenario() {
        let measured = |framework: &str, scenario: &str, throughput| {
            let mut row = row(&plan(json!({"base": {}})), "bench-1");
            row.framework = framework.to_owned();
            row.workload.scenario = scenario.to_owned();
            row.metrics = Some(RowMetrics {
                request_throughput: Some(throughput),
                ..RowMetrics::default()
            });
            row
        };
        let rows = [
            measured("sglang", "chat", 100.0),
            measured("vllm", "chat", 98.0),
            measured("sglang", "summarization", 95.0),
            measured("vllm", "summarization", 100.0),
            measured("slow", "chat", 10.0),
        ];
        let scenario = |framework, target| {
            let query = WinnerQuery {
                rows: Path::new("rows"),
                framework,
                scenario: None,
                target,
                plan: None,
                sealed: None,
            };
            slowest_cell(&rows, &query).map(|(own, leader)| (own.scenario, leader))
        };
        let summarization = Some(("summarization".to_owned(), "vllm".to_owned()));
        assert_eq!(scenario("sglang", None), summarization);
        assert_eq!(scenario("vllm", None), summarization);
        assert_eq!(scenario("vllm", Some("sglang")), summarization);
        let chat = Some(("chat".to_owned(), "sglang".to_owned()));
        assert_eq!(scenario("sglang", Some("vllm")), chat);
        assert_eq!(scenario("vllm", Some("vllm")), chat);
        assert_eq!(scenario("slow", None), chat);
    }

    #[test]
    fn a_server_that_tells_another_version_than_before_has_that_one() {
        let measured = MeasuredVersion {
            framework: Some("0.25.0".to_owned()),
            server: Some("0.25.0+cu130".to_owned()),
        };
        let version = |told| measured.of_launch(told);
        assert_eq!(version(None).as_deref(), Some("0.25.0"));
        assert_eq!(version(Some("0.25.0+cu130")).as_deref(), Some("0.25.0"));
        assert_eq!(version(Some("0.26.0")).as_deref(), Some("0.26.0"));
    }
}
