//! The end of a checks job.

use crate::campaign::State;
use crate::campaign::events::{ChecksRan, CommandSeen, GreedyAgreement, TestRun};
use crate::campaign::log::NewEvent;
use crate::campaign::state::Job;
use crate::checks::{ChecksPayload, ChecksResult, payload_of};
use crate::job::{JobFolder, JobStatus};
use crate::sha256;

pub fn ended(state: &State, job: Job<'_>, folder: &JobFolder, status: &JobStatus) -> NewEvent {
    let payload = folder
        .spec()
        .ok()
        .and_then(|spec| payload_of(spec.payload).ok());
    let result: Option<ChecksResult> = folder
        .result()
        .ok()
        .flatten()
        .and_then(|value| serde_json::from_value(value).ok());
    let started = state
        .checks_started
        .iter()
        .find(|started| started.seq == job.started);
    let failure = match (&result, &status.fault) {
        (Some(_), _) => None,
        (None, Some(fault)) => Some(fault.message.clone()),
        (None, None) => Some(status.message.clone()),
    };
    let body = body(job.id, payload.as_ref(), result, failure);
    let files: Vec<_> = body
        .tests
        .iter()
        .map(|test| test.command.log.clone())
        .chain(body.outputs.clone())
        .collect();
    let event = NewEvent::of(&body).at(
        started.and_then(|started| started.commit.clone()),
        started.and_then(|started| started.tree.clone()),
    );
    files.into_iter().fold(event, |event, path| event.on(path))
}

fn body(
    job_id: &str,
    payload: Option<&ChecksPayload>,
    result: Option<ChecksResult>,
    failure: Option<String>,
) -> ChecksRan {
    let least = payload.map_or(1.0, |payload| payload.min_matched_share);
    let (tests, outputs, agreement) = match result {
        Some(result) => (result.tests, Some(result.outputs), result.agreement),
        None => (Vec::new(), None, None),
    };
    let tests: Vec<TestRun> = tests
        .into_iter()
        .map(|test| TestRun {
            passed: test.passed,
            seconds: test.seconds,
            command: CommandSeen {
                log_sha256: sha256::of_file(&test.log, None)
                    .map(|(hash, _)| hash)
                    .unwrap_or_default(),
                argv: test.argv,
                exit: test.exit,
                log: test.log,
            },
        })
        .collect();
    let greedy = agreement.map(|agreement| GreedyAgreement {
        passed: agreement.matched_share >= least,
        base_tree: agreement.base_tree,
        prompts: agreement.prompts,
        identical: agreement.identical,
        matched_share: agreement.matched_share,
        min_matched_share: least,
    });
    ChecksRan {
        job_id: job_id.to_owned(),
        attempt: payload.and_then(|payload| payload.attempt.clone()),
        passed: failure.is_none()
            && tests.iter().all(|test| test.passed)
            && greedy.as_ref().is_none_or(|greedy| greedy.passed),
        tests,
        greedy,
        outputs,
        failure,
    }
}
