//! `/start_profile` and `/stop_profile` as SGLang and vLLM have them.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::Exit;
use super::api_error::ApiError;
use super::app::{App, Profile};
use super::dialect::Dialect;
use super::driver::Command;
use super::planned_fault::PlannedFault;
use super::profile::{FixedRange, Recorder, export, export_file};

/// What SGLang takes; vLLM takes nothing.
#[derive(Deserialize, Default)]
struct StartBody {
    output_dir: Option<PathBuf>,
    num_steps: Option<Count>,
}

/// A number, or a number as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u64),
    Text(String),
}

/// Whether the server has these routes.
pub fn served(app: &App) -> bool {
    match app.config.dialect {
        Dialect::Sglang => true,
        Dialect::Vllm => app.config.profile.folder().is_some(),
        Dialect::OpenAi => false,
    }
}

/// Starts recording; the trace is written when the steps are done or on stop.
pub fn start(app: &Rc<App>, body: &[u8]) -> Result<&'static str, ApiError> {
    let dialect = app.config.dialect;
    let wrong = |message: String| ApiError::bad_request(dialect, message, None);
    if app.is_profiling() {
        return Err(wrong(
            "Profiling is already in progress. Call /stop_profile first.".into(),
        ));
    }
    if app.config.faults.contains(&PlannedFault::ProfilerRefuses) {
        return Err(ApiError::planned(dialect));
    }
    let asked: StartBody = if body.trim_ascii().is_empty() {
        StartBody::default()
    } else {
        serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?
    };
    let steps = match asked.num_steps {
        None => None,
        Some(Count::Number(steps)) => Some(steps),
        Some(Count::Text(text)) => Some(
            text.parse()
                .map_err(|_| wrong(format!("num_steps is no number: {text}")))?,
        ),
    };
    let folder = asked
        .output_dir
        .or_else(|| app.config.profile.folder())
        .unwrap_or_else(std::env::temp_dir);
    let (done, recorded) = oneshot::channel();
    let recorder = match (dialect, steps) {
        (Dialect::Sglang, Some(steps)) => Recorder::counting_its_end(steps, done),
        _ => Recorder::new(steps, done),
    };
    app.command(Command::StartProfile(recorder));
    app.log.core(
        "profiler.py:60",
        &format!(
            "Profiling starts. Traces will be saved to: {}",
            folder.display()
        ),
    );
    let writer = Rc::clone(app);
    let is_recorded = Rc::new(Cell::new(false));
    let mark = Rc::clone(&is_recorded);
    let writing = tokio::task::spawn_local(async move {
        let Ok(steps) = recorded.await else { return };
        mark.set(true);
        writer.log.core("profiler.py:90", "Stop profiling...");
        let config = writer.config.clone();
        if config.faults.contains(&PlannedFault::CrashInProfile) {
            // The server is ending already when nobody listens.
            let _ = writer.exit.send(Exit::Crashed);
            return;
        }
        let target = folder.clone();
        let written = tokio::task::spawn_blocking(move || export(&config, &steps, &target)).await;
        match written {
            Ok(Ok(_)) => writer.log.core(
                "profiler.py:120",
                &format!("Profiling done. Traces are saved to: {}", folder.display()),
            ),
            Ok(Err(error)) => {
                let text = format!("Profiling failed: {}: {error}", folder.display());
                writer.log.core("profiler.py:121", &text);
            }
            Err(_) => writer.log.core("profiler.py:122", "Profiling failed."),
        }
    });
    app.set_profile(Profile {
        writing,
        recorded: is_recorded,
    });
    Ok("Start profiling.\n")
}

/// Records the range of steps that the environment names, if it names one.
pub fn start_fixed(app: &Rc<App>) {
    let Some(range) = FixedRange::from_env() else {
        return;
    };
    let (done, recorded) = oneshot::channel();
    app.command(Command::StartProfile(Recorder::after(
        range.first,
        range.steps,
        done,
    )));
    let writer = Rc::clone(app);
    tokio::task::spawn_local(async move {
        let Ok(steps) = recorded.await else { return };
        let config = writer.config.clone();
        let path = range.path.clone();
        let written =
            tokio::task::spawn_blocking(move || export_file(&config, &steps, &path)).await;
        let text = match written {
            Ok(Ok(())) => format!("Torch trace is saved to {}", range.path.display()),
            Ok(Err(error)) => format!("Profiling failed: {}: {error}", range.path.display()),
            Err(_) => "Profiling failed.".to_owned(),
        };
        writer.log.core("profiler.py:130", &text);
    });
}

/// Stops recording and waits until the trace is on disk. SGLang's profiler
/// that ended by itself is not there to be stopped.
pub async fn stop(app: &App) -> Result<&'static str, ApiError> {
    let dialect = app.config.dialect;
    let message = "Profiling is not in progress. Call /start_profile first.";
    let Some(profile) = app.take_profile() else {
        return Err(ApiError::bad_request(dialect, message, None));
    };
    if dialect == Dialect::Sglang && profile.recorded.get() {
        app.log
            .core("http_server.py:700", &format!("RuntimeError: {message}"));
        return Err(ApiError::internal(dialect, message));
    }
    app.command(Command::StopProfile);
    // A failure is in the log.
    let _ = profile.writing.await;
    Ok("Stop profiling. This will take some time.\n")
}
