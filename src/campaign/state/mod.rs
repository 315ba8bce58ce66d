//! Where a campaign stands: the log, folded.
//!
//! [`State::fold`] keeps every event with its body decoded; the methods answer
//! what gates, ledgers and `status` ask. Nothing here looks at the disk.

mod attempts;
mod citations;
mod jobs;
mod recorded;
mod rounds;
#[cfg(test)]
mod tests;

pub use attempts::{Attempt, AttemptState};
pub use citations::Cited;
pub(crate) use citations::snake;
pub use jobs::{Job, JobKind};
pub use recorded::Recorded;
pub use rounds::Phase;

use std::path::{Path, PathBuf};

use super::CampaignError;
use super::events::*;
use super::log::Event;
use crate::campaign::OpenRequest;
use crate::gap::DECIDING_METRIC;

/// The log of one campaign, folded; each list oldest first.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Number of events.
    pub events: u64,
    /// When the last one was written, UTC.
    pub last_time: String,
    pub opened: Option<Recorded<CampaignOpened>>,
    pub adopted: Vec<Recorded<LogAdopted>>,
    pub history: Vec<Recorded<HistoryRecorded>>,
    pub benchmarks_started: Vec<Recorded<BenchmarkStarted>>,
    pub benchmarks: Vec<Recorded<BenchmarkEnded>>,
    /// Decisions by the campaign's own target and metric; other questions to
    /// the gap decide nothing and are left out.
    pub gaps: Vec<Recorded<GapChecked>>,
    pub captures_started: Vec<Recorded<CaptureStarted>>,
    pub captures: Vec<Recorded<CaptureEnded>>,
    pub profiles: Vec<Recorded<ProfileRecorded>>,
    pub pipelines: Vec<Recorded<PipelineRecorded>>,
    pub digests: Vec<Recorded<NcuRecorded>>,
    pub seal: Option<Recorded<Sealed>>,
    /// Every `start_loop`; the last one is the present loop.
    pub loops: Vec<Recorded<LoopStarted>>,
    pub loops_ended: Vec<Recorded<LoopEnded>>,
    pub rounds_started: Vec<Recorded<RoundStarted>>,
    pub reviews: Vec<Recorded<Reviewed>>,
    pub paused: Vec<Recorded<Paused>>,
    pub resumed: Vec<Recorded<Resumed>>,
    pub root_causes: Vec<Recorded<RootCause>>,
    pub source_ideas: Vec<Recorded<SourceIdea>>,
    pub attempts_opened: Vec<Recorded<AttemptOpened>>,
    pub checks_started: Vec<Recorded<ChecksStarted>>,
    pub checks: Vec<Recorded<ChecksRan>>,
    pub attempts_closed: Vec<Recorded<AttemptClosed>>,
    pub rejected_ideas: Vec<Recorded<RejectedIdea>>,
    pub blockers: Vec<Recorded<Blocker>>,
    pub rounds: Vec<Recorded<RoundEnded>>,
    pub finished: Option<Recorded<Finished>>,
}

impl State {
    /// Folds a log; `path` is named in errors.
    pub fn fold(path: &Path, events: &[Event]) -> Result<Self, CampaignError> {
        let mut state = Self::default();
        for event in events {
            state
                .take(event)
                .map_err(|source| CampaignError::Undecodable {
                    path: path.to_path_buf(),
                    line: event.seq,
                    kind: event.kind,
                    source,
                })?;
            state.events = event.seq;
        }
        if let Some(last) = events.last() {
            state.last_time.clone_from(&last.time);
        }
        let gaps = std::mem::take(&mut state.gaps);
        state.gaps = gaps
            .into_iter()
            .filter(|gap| state.decides(&gap.body.record.target, &gap.body.record.metric))
            .collect();
        Ok(state)
    }

    fn take(&mut self, event: &Event) -> Result<(), serde_json::Error> {
        match event.kind {
            EventKind::CampaignOpened => self.opened = Some(Recorded::of(event)?),
            EventKind::LogAdopted => self.adopted.push(Recorded::of(event)?),
            EventKind::HistoryRecorded => self.history.push(Recorded::of(event)?),
            EventKind::BenchmarkStarted => self.benchmarks_started.push(Recorded::of(event)?),
            EventKind::BenchmarkEnded => self.benchmarks.push(Recorded::of(event)?),
            EventKind::GapChecked => self.gaps.push(Recorded::of(event)?),
            EventKind::CaptureStarted => self.captures_started.push(Recorded::of(event)?),
            EventKind::CaptureEnded => self.captures.push(Recorded::of(event)?),
            EventKind::ProfileRecorded => self.profiles.push(Recorded::of(event)?),
            EventKind::PipelineRecorded => self.pipelines.push(Recorded::of(event)?),
            EventKind::NcuRecorded => self.digests.push(Recorded::of(event)?),
            EventKind::Sealed => self.seal = Some(Recorded::of(event)?),
            EventKind::LoopStarted => self.loops.push(Recorded::of(event)?),
            EventKind::LoopEnded => self.loops_ended.push(Recorded::of(event)?),
            EventKind::RoundStarted => self.rounds_started.push(Recorded::of(event)?),
            EventKind::Reviewed => self.reviews.push(Recorded::of(event)?),
            EventKind::Paused => self.paused.push(Recorded::of(event)?),
            EventKind::Resumed => self.resumed.push(Recorded::of(event)?),
            EventKind::RootCause => self.root_causes.push(Recorded::of(event)?),
            EventKind::SourceIdea => self.source_ideas.push(Recorded::of(event)?),
            EventKind::AttemptOpened => self.attempts_opened.push(Recorded::of(event)?),
            EventKind::ChecksStarted => self.checks_started.push(Recorded::of(event)?),
            EventKind::ChecksRan => self.checks.push(Recorded::of(event)?),
            EventKind::AttemptClosed => self.attempts_closed.push(Recorded::of(event)?),
            EventKind::RejectedIdea => self.rejected_ideas.push(Recorded::of(event)?),
            EventKind::Blocker => self.blockers.push(Recorded::of(event)?),
            EventKind::RoundEnded => self.rounds.push(Recorded::of(event)?),
            EventKind::Finished => self.finished = Some(Recorded::of(event)?),
        }
        Ok(())
    }

    /// What the campaign was opened with.
    pub fn inputs(&self) -> Option<&OpenRequest> {
        self.opened.as_ref().map(|opened| &opened.body.inputs)
    }

    /// The framework that is to become faster.
    pub fn target(&self) -> &str {
        self.inputs()
            .and_then(|inputs| inputs.target_framework.as_deref())
            .unwrap_or("sglang")
    }

    /// Frameworks that it is compared with, as asked for at `open`.
    pub fn compared(&self) -> &[String] {
        self.inputs()
            .and_then(|inputs| inputs.comparison_frameworks.as_deref())
            .unwrap_or_default()
    }

    /// The metric that decides: the sealed one. No argument changes it.
    pub fn metric(&self) -> &str {
        self.seal
            .as_ref()
            .map_or(DECIDING_METRIC, |seal| seal.body.metric.as_str())
    }

    /// Whether a gap of this framework by this metric is the campaign's decision.
    pub fn decides(&self, target: &str, metric: &str) -> bool {
        target == self.target() && metric == self.metric()
    }

    /// The target's git checkout.
    pub fn checkout(&self) -> Option<&PathBuf> {
        self.inputs().and_then(|inputs| inputs.checkout.as_ref())
    }

    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// The present loop, if one was ever started.
    pub fn current_loop(&self) -> Option<&Recorded<LoopStarted>> {
        self.loops.last()
    }
}
