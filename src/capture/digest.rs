//! The digest of one capture, for the campaign's folder.

use std::fmt::Write;
use std::path::PathBuf;

use super::payload::CapturePayload;
use super::record::{CaptureResult, TraceFile};
use crate::triage::render_markdown;

/// Where the digest of a capture in a campaign goes.
pub fn path(payload: &CapturePayload) -> Option<PathBuf> {
    let root = payload.campaign.as_ref()?;
    let name = format!("{}-{}.md", payload.round?, payload.framework);
    Some(root.join("humanize/profile-digests").join(name))
}

/// What was captured and how, then the short tables.
pub fn render(payload: &CapturePayload, result: &CaptureResult, job: &str) -> String {
    let mut text = format!(
        "# Profile of {}, round {}\n\n",
        payload.title(),
        payload.round.unwrap_or_default()
    );
    let lengths = &payload.lengths;
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Job `{job}`. Prefill: {} tokens in, 1 out; decode: 1 in, {} out, batch {} ({}). {} steps after {} of warm-up.\n",
        lengths.input_len,
        lengths.output_len,
        payload.batch,
        lengths.basis,
        payload.steps,
        payload.warmup_steps,
    );
    if !result.server_argv.is_empty() {
        let _ = writeln!(text, "```sh\n{}\n```\n", result.server_argv.join(" "));
    }
    for trace in &result.traces {
        let _ = writeln!(text, "- {}", told(trace));
    }
    if let Some(report) = &result.analysis.report_path {
        let _ = writeln!(text, "- every row: `{}`", report.display());
    }
    for warning in &result.warnings {
        let _ = writeln!(text, "- warning: {warning}");
    }
    let tables = render_markdown(&result.analysis);
    let body = tables.split_once('\n').map_or("", |(_, body)| body);
    text.push_str(body);
    text
}

fn told(trace: &TraceFile) -> String {
    format!(
        "{} {}, rank {}: `{}` ({} bytes)",
        trace.graphs.as_str(),
        trace.stage.as_str(),
        trace.rank,
        trace.path.display(),
        trace.bytes
    )
}
