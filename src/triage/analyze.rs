//! The analysis from request to record.

use std::path::{Path, PathBuf};

use super::attribute::{Attribution, Confidence, References, SiteMethod, attribute, eager_sites};
use super::compare::{Side, compare_stage};
use super::error::TriageError;
use super::input::{Candidate, pick};
use super::kernel::Kernels;
use super::loaded::Loaded;
use super::ranks;
use super::record::{
    FileRecord, FileRole, RankSkew, StageComparison, StageRecord, TriageRecord, TriageRequest,
};
use super::site::{SiteId, Sites};
use super::stage::{Accounted, Context, is_mostly_replayed, stage_record, stray_record};
use super::summary::count_rows;
use crate::detail::Detail;
use crate::trace::Stage;

const DEFAULT_MIN_SHARE_PCT: f64 = 1.0;
/// Replayed time with only a guessed site from which a mapping trace is asked for, percent.
const GUESSED_PCT: f64 = 10.0;

/// Analyses a trace or a folder of traces.
///
/// # Errors
///
/// [`TriageError`] when a path cannot be read, holds no trace, or the trace
/// holds no GPU work, and when an argument is out of range.
pub fn analyze(request: &TriageRequest) -> Result<TriageRecord, TriageError> {
    let min_share_pct = request.min_share_pct.unwrap_or(DEFAULT_MIN_SHARE_PCT);
    if !(0.0..=100.0).contains(&min_share_pct) {
        return Err(TriageError::OutOfRange {
            argument: "min_share_pct",
            value: min_share_pct.to_string(),
            range: "0 to 100",
        });
    }
    let mut analysis = Analysis::default();
    let mut record = analysis.run(request, min_share_pct)?;
    record.total = count_rows(&record);
    Ok(match request.detail {
        Detail::Summary => record.summary(),
        Detail::Full => record,
    })
}

/// What grows while traces are read.
#[derive(Default)]
struct Analysis {
    kernels: Kernels,
    sites: Sites,
    references: References,
    files: Vec<FileRecord>,
    warnings: Vec<String>,
}

impl Analysis {
    fn run(
        &mut self,
        request: &TriageRequest,
        min_share_pct: f64,
    ) -> Result<TriageRecord, TriageError> {
        let picked = pick(&request.input, request.rank)?;
        self.warnings.extend(picked.notes.iter().cloned());
        let inputs = self.load_all(&request.input, &picked.traces, FileRole::Input)?;
        let framework = request.framework.clone().or_else(|| {
            inputs
                .iter()
                .find_map(|input| input.engine().map(str::to_owned))
        });
        if let Some(mapping) = &request.mapping_input {
            let mapped = pick(mapping, request.rank)?;
            let traces = self.load_all(mapping, &mapped.traces, FileRole::Mapping)?;
            self.refer(&traces, SiteMethod::ReplayOrderMapping);
            self.refer_captures(mapping, &mapped.captures);
        }
        self.refer_captures(&request.input, &picked.captures);
        let analysed = self.attribute_all(inputs, &picked.traces, framework.as_deref());
        let stages = self.stages(&analysed, min_share_pct);
        let comparison = match &request.compare_input {
            Some(path) => self.compare(path, request, &analysed, framework.as_deref())?,
            None => Vec::new(),
        };
        let ranks = self.skew(&picked.ranks);
        let needs_mapping = self.judge_sites(&analysed);
        Ok(TriageRecord {
            framework,
            files: std::mem::take(&mut self.files),
            next: next_call(request, &analysed, needs_mapping),
            stages,
            comparison,
            ranks,
            report_path: None,
            warnings: std::mem::take(&mut self.warnings),
            truncated: false,
            total: 0,
        })
    }

    /// Reads traces and leaves out, with a warning, those that cannot be read
    /// or hold no GPU work; where none is left, that is an error.
    fn load_all(
        &mut self,
        asked: &Path,
        candidates: &[Candidate],
        role: FileRole,
    ) -> Result<Vec<Loaded>, TriageError> {
        let mut loaded = Vec::new();
        let mut failure = None;
        let mut events = 0;
        for candidate in candidates {
            match Loaded::read(&candidate.path, candidate.stage, &mut self.kernels) {
                Ok(trace) => {
                    self.note(&trace, candidate, role);
                    events += trace.trace.counts.events;
                    if trace.trace.gpu.is_empty() {
                        self.warnings.push(format!(
                            "{} holds no GPU work and was left out",
                            candidate.path.display()
                        ));
                    } else {
                        loaded.push(trace);
                    }
                }
                Err(error) => {
                    self.warnings.push(format!("left out: {error}"));
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            _ if !loaded.is_empty() => Ok(loaded),
            Some(error) => Err(error.into()),
            None => Err(TriageError::NoGpuWork {
                path: asked.to_path_buf(),
                events,
            }),
        }
    }

    /// Takes in the eager passes of traces that are read for nothing else.
    fn refer(&mut self, traces: &[Loaded], method: SiteMethod) {
        for trace in traces {
            if method == SiteMethod::ReplayOrderMapping && is_mostly_replayed(trace) {
                self.warnings.push(format!(
                    "the mapping trace {} replays CUDA graphs itself; take it with graphs off",
                    trace.path.display()
                ));
            }
            let eager = eager_sites(trace, &mut self.sites);
            self.references.add(trace, &eager, method);
        }
    }

    /// Capture-time traces help where they can; without them the analysis stands.
    fn refer_captures(&mut self, asked: &Path, captures: &[Candidate]) {
        if let Ok(traces) = self.load_all(asked, captures, FileRole::GraphCapture) {
            self.refer(&traces, SiteMethod::ReplayOrderCapture);
        }
    }

    fn attribute_all(
        &mut self,
        inputs: Vec<Loaded>,
        candidates: &[Candidate],
        framework: Option<&str>,
    ) -> Vec<Analysed> {
        let eager: Vec<Vec<Option<SiteId>>> = inputs
            .iter()
            .map(|input| eager_sites(input, &mut self.sites))
            .collect();
        for (input, eager) in inputs.iter().zip(&eager) {
            self.references
                .add(input, eager, SiteMethod::ReplayOrderSameFile);
        }
        let mut analysed = Vec::new();
        for (input, eager) in inputs.into_iter().zip(&eager) {
            let attributions = attribute(
                &input,
                eager,
                &self.references,
                &self.kernels,
                framework,
                &mut self.sites,
            );
            analysed.push(Analysed {
                hint: hint_of(candidates, &input.path),
                accounted: Accounted::new(input, &mut self.sites),
                attributions,
            });
        }
        analysed
    }

    fn skew(&mut self, ranks: &[(u32, PathBuf)]) -> Option<RankSkew> {
        if ranks.len() < 2 {
            return None;
        }
        match ranks::skew(ranks) {
            Ok(skew) => Some(skew),
            Err(error) => {
                self.warnings
                    .push(format!("ranks were not compared: {error}"));
                None
            }
        }
    }

    fn note(&mut self, loaded: &Loaded, candidate: &Candidate, role: FileRole) {
        let trace = &loaded.trace;
        self.files.push(FileRecord {
            path: candidate.path.clone(),
            role,
            rank: candidate
                .rank
                .or(trace.meta.distributed.as_ref().map(|own| own.rank)),
            events: trace.counts.events,
            kernels: trace.counts.kernels,
            steps_from: loaded.steps.source,
        });
        let name = candidate.path.display();
        for warning in &trace.warnings {
            self.warnings.push(format!("{name}: {warning}"));
        }
        for warning in loaded.doubts() {
            self.warnings.push(format!("{name}: {warning}"));
        }
    }

    /// Each stage from the trace whose folder names it, else from the trace
    /// with most of its steps.
    fn stages(&mut self, analysed: &[Analysed], min_share_pct: f64) -> Vec<StageRecord> {
        let mut records = Vec::new();
        for stage in [Stage::Prefill, Stage::Decode, Stage::Mixed, Stage::Unknown] {
            if let Some(one) = for_stage(analysed, stage) {
                records.push(stage_record(
                    &one.accounted,
                    stage,
                    &self.context(one, min_share_pct),
                ));
            }
        }
        for one in analysed {
            let (stray, share) = stray_record(&one.accounted, &self.context(one, min_share_pct));
            let Some(stray) = stray else { continue };
            self.warnings.push(format!(
                "{}: {share:.1}% of the kernel time belongs to no step",
                one.accounted.loaded.path.display()
            ));
            if !records.iter().any(|record| record.stage == Stage::Unknown) {
                records.push(stray);
            }
        }
        records
    }

    fn context<'a>(&'a self, one: &'a Analysed, min_share_pct: f64) -> Context<'a> {
        Context {
            kernels: &self.kernels,
            sites: &self.sites,
            attributions: &one.attributions,
            min_share_pct,
        }
    }

    fn compare(
        &mut self,
        path: &Path,
        request: &TriageRequest,
        inputs: &[Analysed],
        framework: Option<&str>,
    ) -> Result<Vec<StageComparison>, TriageError> {
        let picked = pick(path, request.rank)?;
        let mut others = Vec::new();
        for loaded in self.load_all(path, &picked.traces, FileRole::Compare)? {
            others.push(Analysed {
                hint: hint_of(&picked.traces, &loaded.path),
                attributions: Vec::new(),
                accounted: Accounted::new(loaded, &mut self.sites),
            });
        }
        let mut found = Vec::new();
        for stage in [Stage::Prefill, Stage::Decode, Stage::Mixed, Stage::Unknown] {
            let (Some(input), Some(other)) = (for_stage(inputs, stage), for_stage(&others, stage))
            else {
                continue;
            };
            let mut input = self.side(input);
            input.framework = framework.map(str::to_owned);
            found.extend(compare_stage(&input, &self.side(other), stage));
        }
        if found.is_empty() {
            self.warnings.push(format!(
                "{} has no stage in common with the input",
                path.display()
            ));
        }
        Ok(found)
    }

    fn side<'a>(&'a self, one: &'a Analysed) -> Side<'a> {
        Side {
            loaded: &one.accounted.loaded,
            kernels: &self.kernels,
            timeline: &one.accounted.timeline,
            by_step: &one.accounted.wall.by_step,
            framework: one.accounted.loaded.engine().map(str::to_owned),
        }
    }

    /// Whether much replayed time has only a guessed site.
    fn judge_sites(&mut self, analysed: &[Analysed]) -> bool {
        let (mut replayed, mut guessed) = (0, 0);
        for one in analysed {
            let loaded = &one.accounted.loaded;
            for row in 0..loaded.trace.gpu.len() {
                if !loaded.is_kernel(row) || !loaded.is_replayed(row) {
                    continue;
                }
                let ns = loaded.trace.gpu.dur_ns[row];
                replayed += ns;
                let found = one.attributions[row];
                if found.is_none_or(|found| found.confidence == Confidence::Low) {
                    guessed += ns;
                }
            }
        }
        let share = super::units::percent(guessed as f64, replayed as f64);
        if share < GUESSED_PCT {
            return false;
        }
        self.warnings.push(format!(
            "{share:.0}% of the time in replayed CUDA graphs has no traced source site: no eager pass with Python stacks was at hand; name a trace of the same engine taken with CUDA graphs off as mapping_input"
        ));
        true
    }
}

/// One input trace with everything found about it.
struct Analysed {
    accounted: Accounted,
    attributions: Vec<Option<Attribution>>,
    /// The stage that the trace's place names.
    hint: Option<Stage>,
}

fn hint_of(candidates: &[Candidate], path: &Path) -> Option<Stage> {
    candidates
        .iter()
        .find(|candidate| candidate.path == path)
        .and_then(|candidate| candidate.stage)
}

fn for_stage(analysed: &[Analysed], stage: Stage) -> Option<&Analysed> {
    analysed
        .iter()
        .filter(|one| one.accounted.stages().contains(&stage))
        .max_by_key(|one| (one.hint == Some(stage), one.accounted.steps_of(stage).len()))
}

fn next_call(request: &TriageRequest, analysed: &[Analysed], needs_mapping: bool) -> String {
    let quoted = |path: &Path| serde_json::json!(path).to_string();
    if needs_mapping && request.mapping_input.is_none() {
        return format!(
            "profile {{\"input\": {}, \"mapping_input\": \"<trace taken with CUDA graphs off>\"}}",
            quoted(&request.input)
        );
    }
    let path = for_stage(analysed, Stage::Decode)
        .or(analysed.first())
        .map_or(request.input.as_path(), |one| {
            one.accounted.loaded.path.as_path()
        });
    format!("analyze_pipeline {{\"trace\": {}}}", quoted(path))
}
