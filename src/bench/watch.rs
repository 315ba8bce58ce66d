//! What is seen of an engine while a run lasts, and the run's timeline.

use std::path::{Path, PathBuf};

use super::load::{LoadOutcome, LoadRun, Sample};
use super::server::Server;
use super::timeline::{Scrape, Scraper, ServerPoint, Source, Timeline, read_log};
use crate::launch::GpuReading;

/// Watches one run from just before its first request.
#[derive(Debug)]
pub struct Watch {
    scraper: Option<Scraper>,
    log: PathBuf,
    /// Where the log ended when the run began.
    log_from: u64,
}

/// What a timeline says of its run besides what was seen.
#[derive(Debug)]
pub struct About<'a> {
    pub framework: &'a str,
    pub candidate_id: &'a str,
    pub scenario: &'a str,
    pub kv_capacity_tokens: Option<u64>,
    pub request_rate: Option<f64>,
    pub max_concurrency: Option<u32>,
}

impl Watch {
    pub fn start(server: &Server) -> Self {
        Self {
            scraper: Scraper::start(&server.engine.name, server.base.clone()),
            log: server.log.clone(),
            log_from: std::fs::metadata(&server.log).map_or(0, |meta| meta.len()),
        }
    }

    /// Ends the watch.
    pub async fn end(self) -> Seen {
        Seen {
            scrape: match self.scraper {
                Some(scraper) => scraper.finish().await,
                None => Scrape::default(),
            },
            log: self.log,
            log_from: self.log_from,
        }
    }
}

/// What was seen of the engine.
#[derive(Debug)]
pub struct Seen {
    scrape: Scrape,
    log: PathBuf,
    log_from: u64,
}

impl Seen {
    /// Makes the run's timeline and writes it beside the raw samples. None
    /// when no request got a token.
    pub fn timeline(
        mut self,
        about: &About<'_>,
        outcome: &LoadOutcome,
        readings: &[GpuReading],
        raw: &Path,
    ) -> Result<Option<PathBuf>, crate::disk::DiskError> {
        let Some(mut timeline) = Timeline::of(&outcome.samples, None) else {
            return Ok(None);
        };
        about.framework.clone_into(&mut timeline.run.framework);
        about
            .candidate_id
            .clone_into(&mut timeline.run.candidate_id);
        about.scenario.clone_into(&mut timeline.run.scenario);
        timeline.run.kv_capacity_tokens = about.kv_capacity_tokens;
        timeline.run.request_rate = about.request_rate;
        timeline.run.max_concurrency = about.max_concurrency;
        timeline.run.server_prompt_tokens = counted_prompt_tokens(&outcome.samples);
        take_gpu_readings(&mut self.scrape, readings);
        // Its clock began with the run, the timeline's with the first request.
        let first = outcome.samples.iter().map(|sample| sample.sent_ns).min();
        for point in &mut self.scrape.points {
            point.t -= first.unwrap_or_default() as f64 / 1e9;
        }
        timeline.add_scrape(self.scrape);
        // Many engines log nothing that is known.
        if let Ok(log) = read_log(&self.log, self.log_from) {
            timeline.add_log_of_run(&log);
        }
        let name = raw.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split(".jsonl").next().unwrap_or_default();
        let path = raw.with_file_name(format!("{name}.timeline.jsonl"));
        timeline.write(&path)?;
        Ok(Some(path))
    }
}

/// Prompt tokens as the engine counted them, where it told them for every
/// request of the timeline.
fn counted_prompt_tokens(samples: &[Sample]) -> Option<f64> {
    let counted = samples
        .iter()
        .filter(|sample| sample.is_ok())
        .map(|sample| sample.prompt_tokens)
        .sum::<Option<u64>>()?;
    (counted > 0).then_some(counted as f64)
}

/// The driver's share of busy time is the same for every engine, and takes the
/// place of the engines' own.
fn take_gpu_readings(scrape: &mut Scrape, readings: &[GpuReading]) {
    let busy: Vec<(f64, f64)> = readings
        .iter()
        .filter_map(|reading| Some((reading.at_s, f64::from(reading.utilization_pct?))))
        .collect();
    if busy.is_empty() {
        return;
    }
    for point in &mut scrape.points {
        point.gpu_busy_pct = None;
    }
    for look in busy.chunk_by(|a, b| a.0 == b.0) {
        let sum: f64 = look.iter().map(|(_, pct)| pct).sum();
        scrape.points.push(ServerPoint {
            t: look.first().map_or(0.0, |(t, _)| *t),
            source: Source::Driver,
            gpu_busy_pct: Some(sum / look.len() as f64),
            ..ServerPoint::default()
        });
    }
}

impl<'a> About<'a> {
    /// The facts of a run on a server.
    pub fn of(server: &Server, run: &LoadRun, names: [&'a str; 3]) -> Self {
        let [framework, candidate_id, scenario] = names;
        Self {
            framework,
            candidate_id,
            scenario,
            kv_capacity_tokens: server.settings.kv_cache_tokens,
            request_rate: run.arrivals.rate,
            max_concurrency: run
                .max_concurrency
                .and_then(|most| u32::try_from(most.get()).ok()),
        }
    }
}
