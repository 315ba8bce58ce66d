//! What the captured traces say, at once.

use std::fs;
use std::path::{Path, PathBuf};

use super::CaptureError;
use super::payload::CapturePayload;
use super::record::TraceFile;
use super::request::{CapturedStage, Graphs};
use crate::trace::Stage;
use crate::triage::{self, ReportPaths, TriageRecord, TriageRequest};

/// The whole analysis and where its report is.
pub struct Analysed {
    pub record: TriageRecord,
    pub report: ReportPaths,
    pub warnings: Vec<String>,
}

/// Analyses the traces with graphs; those without give the source lines, and
/// the leader's of the same round stand beside where there are any.
pub fn analyse(payload: &CapturePayload, traces: &[TraceFile]) -> Result<Analysed, CaptureError> {
    let input = payload.folder.join(Graphs::On.as_str());
    let mapping = traces
        .iter()
        .any(|trace| trace.graphs == Graphs::Off)
        .then(|| payload.folder.join(Graphs::Off.as_str()));
    let failed = |source| CaptureError::Analysis {
        source,
        folder: payload.folder.clone(),
    };
    let mut request = TriageRequest {
        input,
        mapping_input: mapping,
        compare_input: leader_traces(payload),
        framework: Some(spelled(&payload.engine)),
        detail: crate::detail::Detail::Full,
        ..TriageRequest::default()
    };
    let mut warnings = Vec::new();
    let mut record = match triage::analyze(&request) {
        Ok(record) => record,
        // The comparison is an addition: the capture stands without it.
        Err(error) if request.compare_input.is_some() => {
            warnings.push(format!("not compared with the leader: {error}"));
            request.compare_input = None;
            triage::analyze(&request).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    keep_recorded_stages(&mut record, &request.input);
    warnings.extend(short_of(payload, &record));
    let report = triage::write_report(&payload.folder, &record).map_err(failed)?;
    Ok(Analysed {
        record,
        report,
        warnings,
    })
}

/// The engine's name as tables about traces spell it.
fn spelled(engine: &str) -> String {
    match engine {
        "trtllm" => "tensorrt-llm",
        other => other,
    }
    .to_owned()
}

/// Traces of the leading framework beside this one's, if it is another and was
/// captured; of several source trees, the last.
fn leader_traces(payload: &CapturePayload) -> Option<PathBuf> {
    let leader = payload
        .leader
        .as_deref()
        .filter(|leader| *leader != payload.framework)?;
    let folder = payload.profiles.join(leader);
    let trees = fs::read_dir(&folder).into_iter().flatten().flatten();
    trees
        .map(|entry| entry.path())
        .chain([folder])
        .map(|folder| folder.join(Graphs::On.as_str()))
        .filter_map(|traces| Some((fs::metadata(&traces).ok()?.modified().ok()?, traces)))
        .max()
        .map(|(_, traces)| traces)
}

/// Leaves out the decode steps that end one-token requests where no decode was
/// recorded for its own sake, and the other way round.
fn keep_recorded_stages(record: &mut TriageRecord, input: &Path) {
    let is_recorded = |stage: Stage| match stage {
        Stage::Prefill | Stage::Decode => input.join(stage.as_str()).is_dir(),
        Stage::Mixed | Stage::Unknown => true,
    };
    record.stages.retain(|stage| is_recorded(stage.stage));
    record.comparison.retain(|stage| is_recorded(stage.stage));
}

/// Stages of which fewer steps were recorded than asked for.
fn short_of(payload: &CapturePayload, record: &TriageRecord) -> Vec<String> {
    let counted = |stage: Stage| {
        record
            .stages
            .iter()
            .filter(|found| found.stage == stage)
            .map(|found| found.steps)
            .sum::<u32>()
    };
    payload
        .stages
        .iter()
        .filter_map(|stage| {
            let found = counted(match stage {
                CapturedStage::Prefill => Stage::Prefill,
                CapturedStage::Decode => Stage::Decode,
            });
            (found < payload.steps).then(|| {
                format!(
                    "{found} {} steps were recorded of {} asked for",
                    stage.as_str(),
                    payload.steps
                )
            })
        })
        .collect()
}
