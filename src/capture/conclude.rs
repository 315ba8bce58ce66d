//! From recorded traces to the job's result: the analysis, what is kept, the digest.

use super::payload::CapturePayload;
use super::record::CaptureResult;
use super::{CaptureError, analyse, digest, keep};
use crate::disk;

/// Analyses the traces where they lie, and completes what was recorded.
pub fn conclude(
    payload: &CapturePayload,
    mut recorded: CaptureResult,
    job: &str,
) -> Result<CaptureResult, CaptureError> {
    let analysed = analyse::analyse(payload, &recorded.traces)?;
    recorded.warnings.extend(analysed.warnings);
    let removed = keep::prune(payload, &recorded.traces);
    if !removed.is_empty() {
        recorded.warnings.push(format!(
            "{} traces were removed, as keep_traces says",
            removed.len()
        ));
    }
    recorded
        .traces
        .retain(|trace| !removed.contains(&trace.path));
    recorded.report_json = analysed.report.json;
    recorded.digest_path = digest::path(payload);
    recorded.analysis = analysed.record.summary();
    recorded.analysis.report_path = Some(analysed.report.markdown);
    if let Some(path) = &recorded.digest_path {
        let text = digest::render(payload, &recorded, job);
        disk::write_atomic(path, text.as_bytes())?;
    }
    Ok(recorded)
}
