//! `profile_recorded` and `pipeline_recorded`: every row that later events may cite.

use std::path::{Path, PathBuf};

use super::{capture_of, note, supplied};
use crate::campaign::events::{
    HotKernelBrief, KernelBrief, LayerTypeBrief, OverlapBrief, PipelineRecorded, ProfileRecorded,
    StageBrief,
};
use crate::campaign::log::{Appended, NewEvent};
use crate::campaign::state::snake;
use crate::campaign::{Campaign, CampaignError, of_job, settle};
use crate::fault::Fault;
use crate::job::{JobFolder, JobState};
use crate::pipeline::PipelineRecord;
use crate::triage::{KernelRow, StageRecord, TriageRecord};

/// Rows below this share of their stage are not kept.
const LEAST_SHARE_PCT: f64 = 1.0;

/// What an analysis of traces was about.
#[derive(Debug, Clone, Copy)]
pub struct ProfileFacts<'a> {
    /// The trace or folder that was read.
    pub input: &'a Path,
    /// The capture job that made it, where it is known.
    pub capture_job: Option<&'a str>,
    /// Every row of the analysis.
    pub analysis: &'a TriageRecord,
    pub report_path: &'a Path,
}

/// Records the end of a campaign's capture and, once it is done, the tables of
/// its traces. Returns the number of their event; none for a capture outside a
/// campaign and while it goes on.
pub fn capture(
    job: &JobFolder,
    tables: impl FnOnce() -> Result<TriageRecord, Fault>,
) -> Result<Option<u64>, Fault> {
    let Some(campaign) = of_job(&job.dir) else {
        return Ok(None);
    };
    settle(&campaign)?;
    if job.status()?.state != JobState::Done {
        return Ok(None);
    }
    let tables = tables()?;
    let report = tables.report_path.clone().unwrap_or_default();
    profile(
        &campaign,
        ProfileFacts {
            input: &report,
            capture_job: Some(&job.id),
            analysis: &tables,
            report_path: &report,
        },
    )?;
    let state = campaign.state()?;
    let mut profiles = state.profiles.iter().rev();
    let noted = profiles.find(|profile| profile.body.capture_job.as_deref() == Some(&job.id));
    Ok(noted.map(|profile| profile.seq))
}

/// Records three tables, once for each capture.
pub fn profile(
    campaign: &Campaign,
    facts: ProfileFacts<'_>,
) -> Result<Option<Appended>, CampaignError> {
    let state = campaign.state()?;
    let by_id = |id: &str| {
        state
            .captures
            .iter()
            .rev()
            .find(|capture| capture.body.job_id == id)
    };
    let capture = match facts.capture_job {
        Some(id) => by_id(id),
        None => capture_of(&state, facts.input),
    };
    let is_known = facts.capture_job.is_some_and(|id| {
        let mut known = state.profiles.iter();
        known.any(|profile| profile.body.capture_job.as_deref() == Some(id))
    });
    if is_known {
        return Ok(None);
    }
    let analysis = facts.analysis;
    let framework = capture
        .map(|capture| capture.body.framework.clone())
        .or_else(|| analysis.framework.clone())
        .unwrap_or_else(|| "unknown".to_owned());
    let body = ProfileRecorded {
        capture_job: capture.map(|capture| capture.body.job_id.clone()),
        supplied: if capture.is_none() {
            supplied(&state, &framework)
        } else {
            None
        },
        source: capture
            .map(|capture| capture.body.source.clone())
            .unwrap_or_default(),
        framework_version: capture.and_then(|capture| capture.body.framework_version.clone()),
        input: facts.input.to_path_buf(),
        report_path: facts.report_path.to_path_buf(),
        stages: analysis.stages.iter().map(brief).collect(),
        compare_framework: analysis
            .comparison
            .first()
            .and_then(|comparison| comparison.compare.framework.clone()),
        comparison: analysis.comparison.clone(),
        framework,
    };
    let head = campaign.look(&state).checkout;
    let mut event = NewEvent::of(&body)
        .in_round(Some(state.round()))
        .at(head.commit(), head.present_tree().map(str::to_owned))
        .on(facts.report_path);
    let json = facts.report_path.with_extension("json");
    // Traces may have been dropped once they were read; the report stays.
    let traces = analysis.files.iter().map(|file| &file.path);
    for path in traces.chain([&json]).filter(|path| path.is_file()) {
        event = event.on(path);
    }
    note(campaign, event).map(Some)
}

fn brief(stage: &StageRecord) -> StageBrief {
    StageBrief {
        stage: stage.stage,
        steps: stage.steps,
        wall_us: stage.wall_us,
        busy_us: stage.busy_us,
        kernels: stage
            .kernels
            .iter()
            .filter(|row| row.share_pct >= LEAST_SHARE_PCT && !row.remainder)
            .map(kernel)
            .collect(),
        overlap: stage
            .overlap
            .iter()
            .filter(|row| row.exposed_share_pct >= LEAST_SHARE_PCT)
            .map(|row| OverlapBrief {
                name: row.name.clone(),
                exposed_share_pct: row.exposed_share_pct,
                advice: snake(&row.advice),
            })
            .collect(),
        fusion: stage.fusion.clone(),
    }
}

fn kernel(row: &KernelRow) -> KernelBrief {
    let location = row.locations.first().map(|place| match place.line {
        Some(line) => format!("{}:{line} {}", place.path, place.function),
        None => format!("{} {}", place.path, place.function),
    });
    KernelBrief {
        name: row.name.clone(),
        category: row.category,
        share_pct: row.share_pct,
        gpu_time_us: row.gpu_time_us,
        location,
    }
}

/// Records the layers of a pass. `record` has every row.
pub fn pipeline(
    campaign: &Campaign,
    record: &PipelineRecord,
    report_path: &Path,
) -> Result<Appended, CampaignError> {
    let state = campaign.state()?;
    let capture = capture_of(&state, &record.trace);
    let chosen = record
        .passes
        .iter()
        .find(|pass| pass.index == record.chosen_pass.index);
    let framework = capture.map(|capture| capture.body.framework.clone());
    let body = PipelineRecorded {
        trace: record.trace.clone(),
        source: capture
            .map(|capture| capture.body.source.clone())
            .unwrap_or_default(),
        supplied: if capture.is_none() {
            supplied(&state, state.target())
        } else {
            None
        },
        framework,
        stage: chosen.map(|pass| pass.stage),
        chosen_pass: record.chosen_pass.index,
        layers_per_pass: record.layers_per_pass,
        layer_types: record
            .layer_types
            .iter()
            .map(|layer| LayerTypeBrief {
                r#type: layer.r#type.clone(),
                count: layer.count,
                avg_wall_us: layer.avg_wall_us,
                pass_share_pct: layer.pass_share_pct,
                representative: layer.representative,
            })
            .collect(),
        hot_kernels: record
            .hot_kernels
            .iter()
            .map(HotKernelBrief::from)
            .collect(),
        report_path: report_path.to_path_buf(),
    };
    let head = campaign.look(&state).checkout;
    let mut event = NewEvent::of(&body)
        .in_round(Some(state.round()))
        .at(head.commit(), head.present_tree().map(str::to_owned));
    let files: [PathBuf; 2] = [report_path.to_path_buf(), record.trace.clone()];
    for file in files.into_iter().filter(|path| path.is_file()) {
        event = event.on(file);
    }
    note(campaign, event)
}
