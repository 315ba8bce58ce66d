//! The end of a benchmark job: which frameworks came out how, and from which
//! source the target ran.

use std::path::Path;

use serde_json::json;

use super::rows::{self, RowFacts, of_job};
use crate::bench::plan::Plan;
use crate::bench::{BenchPayload, BenchResult, RowCount, RowSource, RowStatus};
use crate::campaign::events::{BenchmarkEnded, BenchmarkLabel, FrameworkOutcome, TargetSource};
use crate::campaign::log::NewEvent;
use crate::campaign::{Campaign, CampaignError, State};
use crate::job::{JobFolder, JobState, JobStatus};
use crate::sha256;

/// The identity of what is asked of the engines: model, data set, load,
/// sampling, warm-up, GPUs and SLA of a plan.
pub fn workload_sha256(plan: &Plan) -> String {
    let value = json!([
        plan.model,
        plan.hardware,
        plan.dataset,
        plan.benchmark,
        plan.sampling,
        plan.sla,
        plan.warmup,
    ]);
    sha256::hex(value.to_string().as_bytes())
}

pub fn ended(
    campaign: &Campaign,
    state: &State,
    folder: &JobFolder,
    status: &JobStatus,
) -> Result<NewEvent, CampaignError> {
    let payload: Option<BenchPayload> = folder
        .spec()
        .ok()
        .and_then(|spec| serde_json::from_value(spec.payload).ok());
    let result: Option<BenchResult> = folder
        .result()
        .ok()
        .flatten()
        .and_then(|value| serde_json::from_value(value).ok());
    let rows_path = campaign.rows_path();
    let found = RowCount::of(&rows_path, &folder.id)?.written();
    let written = result.as_ref().and_then(|result| result.rows.clone());
    let written = written.unwrap_or_else(|| found.clone());
    let tampered = rows::tampered(&written, &found);
    let rows = match &tampered {
        None => of_job(&rows_path, &folder.id)?,
        // Rows that are not the job's own show nothing.
        Some(_) => Vec::new(),
    };
    let source = source(state, payload.as_ref(), &rows);
    let label = state
        .benchmarks_started
        .iter()
        .rev()
        .find(|started| started.body.job_id == folder.id)
        .map_or(BenchmarkLabel::Smoke, |started| started.body.label);
    let body = BenchmarkEnded {
        job_id: folder.id.clone(),
        label,
        state: if tampered.is_some() {
            JobState::Failed
        } else {
            status.state
        },
        workload_sha256: payload
            .as_ref()
            .map(|payload| workload_sha256(&payload.plan))
            .unwrap_or_default(),
        frameworks: payload
            .as_ref()
            .map(|payload| outcomes(&payload.plan, &rows))
            .unwrap_or_default(),
        rows: written.count,
        rows_sha256: Some(written.sha256),
        launches: result.as_ref().map_or(0, |result| result.launches),
        winners: result.map(|result| result.winners).unwrap_or_default(),
        failure: tampered
            .map(|problem| format!("rows_tampered: {problem} in {}", rows_path.display()))
            .or_else(|| status.fault.as_ref().map(|fault| fault.message.clone())),
        source: source.clone(),
    };
    let mut event = NewEvent::of(&body).at(source.commit, source.tree);
    for path in [folder.dir.join("spec.json"), folder.result_path()] {
        if path.is_file() {
            event = event.on(path);
        }
    }
    if rows_path.is_file() {
        event = event.on_growing(rows_path);
    }
    Ok(event)
}

fn outcomes(plan: &Plan, rows: &[RowFacts]) -> Vec<FrameworkOutcome> {
    plan.enabled()
        .map(|(name, framework)| {
            let own: Vec<&RowFacts> = rows.iter().filter(|row| row.framework == *name).collect();
            let is_ok = |row: &&&RowFacts| row.status == RowStatus::Ok;
            let mut outcome = FrameworkOutcome {
                framework: name.clone(),
                engine: framework.engine.clone().unwrap_or_else(|| name.clone()),
                version: own.iter().find_map(|row| row.framework_version.clone()),
                bound: plan.search.max_candidates_per_framework,
                custom_command: framework.command.is_some(),
                ok_rows: own.iter().filter(is_ok).count() as u32,
                command: own
                    .iter()
                    .rev()
                    .find(is_ok)
                    .map(|row| row.server_command.clone()),
                backend: own
                    .iter()
                    .find_map(|row| flag(&row.server_argv, "--backend")),
                ..FrameworkOutcome::default()
            };
            outcome.failed_rows = own.len() as u32 - outcome.ok_rows;
            for row in own {
                push_new(&mut outcome.candidates, Some(&row.candidate_id));
                push_new(&mut outcome.failures, row.failure_reason.as_ref());
                push_new(&mut outcome.help, row.artifacts.server_help.as_ref());
            }
            outcome
        })
        .collect()
}

fn push_new<T: Clone + PartialEq>(list: &mut Vec<T>, item: Option<&T>) {
    if let Some(item) = item
        && !list.contains(item)
    {
        list.push(item.clone());
    }
}

/// The value of a flag, given as two arguments or as one.
fn flag(argv: &[String], name: &str) -> Option<String> {
    argv.iter().enumerate().find_map(|(index, argument)| {
        if argument == name {
            return argv.get(index + 1).cloned();
        }
        let value = argument.strip_prefix(name)?.strip_prefix('=')?;
        Some(value.to_owned())
    })
}

/// Which source the target's servers ran from, and whether that is certain. A
/// row is ok only when its sources stood still to its end.
fn source(state: &State, payload: Option<&BenchPayload>, rows: &[RowFacts]) -> TargetSource {
    let Some(checkout) = state.checkout() else {
        return TargetSource {
            problem: Some("the campaign was opened without a checkout".to_owned()),
            ..TargetSource::default()
        };
    };
    let target = state.target();
    let own: Vec<&RowFacts> = rows
        .iter()
        .filter(|row| row.framework == target && row.status == RowStatus::Ok)
        .collect();
    let Some(first) = own.iter().find_map(|row| row.source.as_ref()) else {
        return TargetSource {
            problem: Some(format!(
                "no row of {target} names its source: give frameworks.{target}.source in the plan"
            )),
            ..TargetSource::default()
        };
    };
    let custom = payload
        .and_then(|payload| payload.plan.frameworks.get(target))
        .is_some_and(|framework| framework.command.is_some());
    let problem = own.iter().find_map(|row| match &row.source {
        Some(source) => unverified(source, checkout, custom.then_some(&row.server_argv)),
        None => Some("a row names no source".to_owned()),
    });
    let several = own
        .iter()
        .filter_map(|row| row.source.as_ref())
        .any(|source| source.tree != first.tree);
    let moved = several.then(|| "its servers ran from several trees".to_owned());
    TargetSource {
        checkout: Some(checkout.clone()),
        commit: Some(first.commit.clone()),
        tree: Some(first.tree.clone()),
        verified: problem.is_none(),
        unchanged: moved.is_none(),
        problem: problem.or(moved),
    }
}

/// Why a source does not show that its server ran from the campaign's checkout.
/// `argv` is given where the plan has a command of its own: then a path of the
/// checkout in it is enough.
pub(super) fn unverified(
    source: &RowSource,
    checkout: &Path,
    argv: Option<&Vec<String>>,
) -> Option<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let top = real(checkout);
    if real(&source.checkout) != top {
        return Some(format!(
            "it ran from {}, the campaign's checkout is {}",
            source.checkout.display(),
            checkout.display()
        ));
    }
    if source.dirty {
        return Some("the working tree was not clean".to_owned());
    }
    let imports = source
        .module_path
        .as_ref()
        .is_some_and(|path| real(path).starts_with(&top));
    let starts = argv.into_iter().flatten().any(|argument| {
        let path = Path::new(argument);
        path.is_absolute() && real(path).starts_with(&top)
    });
    (!imports && !starts).then(|| match &source.module_path {
        Some(path) => format!("the interpreter imports it from {}", path.display()),
        None => "nothing shows that the server runs from the checkout".to_owned(),
    })
}
