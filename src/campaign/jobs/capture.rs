//! The end of a capture job.

use std::path::PathBuf;

use serde_json::Value;

use super::benchmark::unverified;
use crate::bench::RowSource;
use crate::campaign::State;
use crate::campaign::events::{CaptureEnded, TargetSource};
use crate::campaign::log::NewEvent;
use crate::campaign::state::Job;
use crate::job::{JobFolder, JobStatus};

pub fn ended(state: &State, job: Job<'_>, folder: &JobFolder, status: &JobStatus) -> NewEvent {
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
        source(state, &payload, &result)
    } else {
        TargetSource::default()
    };
    let body = CaptureEnded {
        job_id: job.id.to_owned(),
        state: status.state,
        framework_version: text(&result["framework_version"]),
        scenario: text(&payload["scenario"]),
        stage: started.and_then(|started| started.body.stage.clone()),
        sealed_winner: payload["sealed"].as_bool().unwrap_or(false),
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

/// Which source the captured server ran from. A capture succeeds only when its
/// sources stood still to its end.
fn source(state: &State, payload: &Value, result: &Value) -> TargetSource {
    let found: Option<RowSource> = serde_json::from_value(result["source"].clone()).ok();
    let (Some(checkout), Some(found)) = (state.checkout(), found) else {
        return TargetSource {
            problem: Some("the capture names no source checkout".to_owned()),
            ..TargetSource::default()
        };
    };
    let framework = &payload["source"]["launch"]["plan"]["frameworks"][state.target()];
    let argv: Vec<String> = result["server_argv"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|argument| argument.as_str().map(str::to_owned))
        .collect();
    let custom = !framework["command"].is_null();
    let problem = unverified(&found, checkout, custom.then_some(&argv));
    TargetSource {
        checkout: Some(checkout.clone()),
        commit: Some(found.commit),
        tree: Some(found.tree),
        verified: problem.is_none(),
        unchanged: true,
        problem,
    }
}
