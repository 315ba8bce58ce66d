//! The timeline of a run: requests waiting, prefilling and decoding at every
//! moment, tokens in and out, phases and waves, and the engine's own numbers.
//!
//! [`Timeline::of`] makes it from the client's samples alone, so that results
//! of other clients have one too. A [`Scraper`] reads the engine's metrics
//! once a second during a run of ours, [`read_log`] what its log tells.
//! `docs/attribution.md` states the file's layout.

mod align;
mod grid;
mod log;
mod picture;
mod read;
mod record;
mod scrape;
mod shape;
mod sources;
mod spans;
mod sparkline;
mod windows;

pub use log::{LogError, ServerLog, read_log};
pub use picture::{PictureError, picture};
pub use read::{TimelineError, read_any};
pub use record::{Pause, RequestSpan, RunFacts, ServerPoint, Source, Timeline, VERSION, Window};
pub use scrape::{Scrape, Scraper};
pub use shape::{Phase, Shape, StepTime, Wave};
pub use sparkline::{Rows, sparkline, sparklines};

pub(super) use sources::SOURCES;

use super::import::Recording;
use super::load::Sample;
use grid::Grid;

/// File name beside a run's raw samples.
pub const FILE_NAME: &str = "timeline.jsonl";

impl Timeline {
    /// The client's part of a timeline. Without `duration_s` the run ends with
    /// its last token. None when no request got a token.
    pub fn of(samples: &[Sample], duration_s: Option<f64>) -> Option<Self> {
        let mut requests = spans::requests(samples);
        let sorted = |value: fn(&RequestSpan) -> f64| {
            let mut values: Vec<f64> = requests.iter().map(|r| value(&r.span)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (firsts, ends) = (sorted(|span| span.first), sorted(|span| span.end));
        let last = ends.last().copied().filter(|last| *last > 0.0)?;
        let duration = duration_s.unwrap_or(last).max(last);
        let grid = Grid::new(&requests, &firsts, &ends, duration);
        for request in &mut requests {
            request.find_pauses(&grid, &firsts, &ends, duration);
        }
        let windows = windows::windows(&grid, &requests);
        let spans: Vec<RequestSpan> = requests.into_iter().map(|r| r.span).collect();
        Some(Self {
            run: RunFacts {
                version: VERSION,
                duration_s: record::micros(duration),
                requests: spans.len(),
                failed: samples.len() - spans.len(),
                sources: vec!["client".to_owned()],
                ..RunFacts::default()
            },
            shape: shape::shape(&windows, &spans, &firsts, duration),
            windows,
            server: Vec::new(),
            requests: spans,
        })
    }

    /// The timeline of a run that another client recorded.
    pub fn of_recording(recording: &Recording) -> Option<Self> {
        let mut timeline = Self::of(&recording.samples(), Some(recording.duration_s))?;
        let run = &mut timeline.run;
        // `sglang-oai` is SGLang behind its OpenAI-compatible routes.
        let backend = recording.backend.as_deref().unwrap_or_default();
        run.framework = backend.split('-').next().unwrap_or_default().to_owned();
        run.failed = recording.failed;
        run.request_rate = recording.request_rate;
        run.max_concurrency = recording.max_concurrency;
        if recording.starts_are_guessed() {
            run.warnings.push(
                "the client did not record when it sent each request; the times follow from its rate and cap"
                    .to_owned(),
            );
        }
        if recording.input_lens.is_none() {
            run.warnings
                .push("the client did not record prompt lengths; they count as 0".to_owned());
        }
        Some(timeline)
    }

    /// Adds what the engine's metrics said.
    pub fn add_scrape(&mut self, scrape: Scrape) {
        if scrape.points.is_empty() {
            return;
        }
        self.run.sources.push("metrics".to_owned());
        let capacity = scrape.points.iter().find_map(|p| p.kv_capacity_tokens);
        if self.run.kv_capacity_tokens.is_none() {
            self.run.kv_capacity_tokens = capacity.map(|tokens| tokens.round() as u64);
        }
        self.server.extend(scrape.points);
        self.server.sort_by(|a, b| a.t.total_cmp(&b.t));
    }
}
