//! What stands in the checkouts of another host.

use std::path::PathBuf;

use super::conductor::unexpected;
use super::line::Line;
use super::protocol::{Answer, Request};
use crate::fault::{Fault, FaultCode};
use crate::source_state::SourceState;

/// Asks the host, and waits for its answer. Without checkouts nobody is asked.
pub fn source_states(host: &str, checkouts: &[PathBuf]) -> Result<Vec<SourceState>, Fault> {
    if checkouts.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |problem: String| {
        Fault::new(
            FaultCode::Internal,
            format!("cannot ask {host}: {problem}"),
            "raise the limit on processes and threads (`ulimit -u`)",
        )
        .retryable()
    };
    // The caller may be part of a runtime, in which another cannot be waited for.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| failed(error.to_string()))?
                .block_on(ask(host, checkouts))
        });
        asking
            .join()
            .unwrap_or_else(|_| Err(failed("it stopped unexpectedly".to_owned())))
    })
}

async fn ask(host: &str, checkouts: &[PathBuf]) -> Result<Vec<SourceState>, Fault> {
    let line = Line::open(Some(host)).await?;
    let request = Request::Sources {
        checkouts: checkouts.to_vec(),
    };
    let answer = line.ask(&request, b"").await;
    line.close().await;
    match answer? {
        (Answer::Sources(states), _) if states.len() == checkouts.len() => Ok(states),
        _ => Err(unexpected("sources")),
    }
}
