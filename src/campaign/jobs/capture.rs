//! The end of a capture job.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::campaign::checkout::Checkout;
use crate::campaign::events::{CaptureEnded, TargetSource};
use crate::campaign::log::NewEvent;
use crate::campaign::state::Job;
use crate::campaign::{Campaign, State};
use crate::job::{JobFolder, JobStatus};

pub fn ended(
    campaign: &Campaign,
    state: &State,
    job: Job<'_>,
    folder: &JobFolder,
    status: &JobStatus,
) -> NewEvent {
    let payload = folder.spec().map(|spec| spec.payload).unwrap_or_default();
    let result = folder.result().ok().flatten().unwrap_or_default();
    let started = state
        .captures_started
        .iter()
        .find(|started| started.seq == job.started);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let framework = text(&payload["framework"])
        .or_else(|| started.map(|started| started.body.framework.clone()))
        .unwrap_or_default();
    let traces: Vec<PathBuf> = result["traces"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|trace| trace["path"].as_str())
        .map(PathBuf::from)
        .collect();
    let source = if framework == state.target() {
        let at = started.and_then(|started| Some((started.commit.clone()?, started.tree.clone()?)));
        source(campaign, state, &payload, &result, at)
    } else {
        TargetSource::default()
    };
    let body = CaptureEnded {
        job_id: job.id.to_owned(),
        state: status.state,
        framework_version: text(&result["framework_version"]),
        scenario: text(&payload["scenario"]),
        stage: started.and_then(|started| started.body.stage.clone()),
        sealed_winner: payload["source"]["launch"].is_object(),
        folder: text(&payload["folder"])
            .map(PathBuf::from)
            .unwrap_or_default(),
        traces: traces.clone(),
        source: source.clone(),
        failure: status.fault.as_ref().map(|fault| fault.message.clone()),
        framework,
    };
    let event = NewEvent::of(&body).at(source.commit, source.tree);
    traces
        .into_iter()
        .filter(|path| path.is_file())
        .fold(event, |event, path| event.on(path))
}

/// The tree at which the capture was asked for, where the server was launched
/// from the checkout and HEAD is there still.
fn source(
    campaign: &Campaign,
    state: &State,
    payload: &Value,
    result: &Value,
    at: Option<(String, String)>,
) -> TargetSource {
    let (Some(checkout), Some((commit, tree))) = (state.checkout(), at) else {
        return TargetSource {
            problem: Some("no clean checkout is known".to_owned()),
            ..TargetSource::default()
        };
    };
    let problem = not_from(checkout, state.target(), payload, result);
    let now = Checkout::read(Some(checkout), &campaign.root);
    let moved = (now.present_tree() != Some(tree.as_str()))
        .then(|| "HEAD or the working tree changed during the capture".to_owned());
    TargetSource {
        checkout: Some(checkout.clone()),
        commit: Some(commit),
        tree: Some(tree),
        verified: problem.is_none(),
        unchanged: moved.is_none(),
        problem: problem.or(moved),
    }
}

/// Why the captured server is not known to have run from the checkout: a plan
/// that names the checkout is refused at launch when the interpreter imports
/// the framework from elsewhere; a command of its own must name a path in it.
fn not_from(checkout: &Path, target: &str, payload: &Value, result: &Value) -> Option<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let top = real(checkout);
    let is_inside = |text: &str| real(Path::new(text)).starts_with(&top);
    let framework = &payload["source"]["launch"]["plan"]["frameworks"][target];
    let named = framework["source"]["checkout"]
        .as_str()
        .is_some_and(|path| real(Path::new(path)) == top);
    let verifies = framework["source"]["verify"].as_bool() != Some(false);
    if named && verifies && framework["command"].is_null() {
        return None;
    }
    let starts = result["server_argv"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|argument| argument.starts_with('/') && is_inside(argument));
    (!starts).then(|| "nothing shows that the captured server ran from the checkout".to_owned())
}
