//! Where in a server's log a run lies.
//!
//! A log has a clock of its own, and other clients do not say when they ran.
//! The run is where the log's number of running requests follows the
//! client's number of decoding ones best.

use super::Timeline;
use super::log::{LogPoint, ServerLog};
use super::record::{ServerPoint, Source, Window, micros};

/// Moments of the run that are compared.
const SAMPLES: usize = 240;
/// Starts that are tried at first; the log's span is divided by them if it is longer.
const MOST_STARTS: f64 = 4_000.0;
/// How long a line without an interval of its own stays true, in seconds.
const STALE_S: f64 = 8.0;
/// The start found by levels is right within this time.
const START_S: f64 = 3.0;
/// The run was found when the levels differ by less than this share of the peak.
const GOOD: f64 = 0.25;

impl Timeline {
    /// Adds what the server's log said of this run. False when the run is not
    /// in the log; limits are taken from it all the same.
    pub fn add_log(&mut self, log: &ServerLog) -> bool {
        self.run.kv_capacity_tokens = log.kv_capacity_tokens.or(self.run.kv_capacity_tokens);
        self.run.max_running = log.max_running.or(self.run.max_running);
        self.run.chunk_tokens = log.chunk_tokens.or(self.run.chunk_tokens);
        self.run.sources.push("log".to_owned());
        let Some(start) = find(self, &log.points) else {
            self.run.warnings.push(
                "the run was not found in the server's log; only capacities are taken from it"
                    .to_owned(),
            );
            return false;
        };
        let duration = self.run.duration_s;
        let first = self.begins(log, start);
        let start = first
            .and_then(|i| log.points.get(i))
            .map_or(start, |line| line.clock);
        // Lines carry whole seconds.
        let within = |p: &&LogPoint| {
            let t = p.clock - start;
            t - p.interval_s / 2.0 >= -1.0 && t - p.interval_s / 2.0 <= duration + 1.0
        };
        let of_run = log
            .points
            .get(first.unwrap_or_default()..)
            .unwrap_or_default();
        let lines: Vec<LogPoint> = of_run.iter().filter(within).copied().collect();
        let prompts: f64 = lines.iter().filter_map(|line| line.prompt_tokens).sum();
        if prompts > 0.0 {
            self.run.server_prompt_tokens = Some(prompts);
        }
        let mut preempted = 0.0;
        for line in &lines {
            preempted += line.preempted.unwrap_or_default();
            let point = ServerPoint {
                preemptions: line.preempted.map(|_| preempted),
                source: Source::Log,
                ..line.at(micros(line.clock - start))
            };
            self.server.push(point);
        }
        self.server.sort_by(|a, b| a.t.total_cmp(&b.t));
        true
    }
}

impl Timeline {
    /// The line of the run's first batch, which met an idle engine. What
    /// stands before it, such as a client's warm-up, is not the run's. None
    /// where the engine falls idle early in the run, so that several may be.
    fn begins(&self, log: &ServerLog, start: f64) -> Option<usize> {
        let busy = self
            .windows
            .iter()
            .take_while(|window| window.from < START_S)
            .all(|window| window.idle == 0.0);
        if !busy {
            return None;
        }
        log.points
            .iter()
            .rposition(|line| line.begins && (line.clock - start).abs() <= START_S)
    }
}

/// The log's clock at the start of the run.
fn find(timeline: &Timeline, points: &[LogPoint]) -> Option<f64> {
    let levels: Vec<&LogPoint> = points.iter().filter(|p| p.running.is_some()).collect();
    let (first, last) = (levels.first()?.clock, levels.last()?.clock);
    let duration = timeline.run.duration_s;
    let moments = moments(&timeline.windows, duration);
    let coarse = ((last - first + duration) / MOST_STARTS).max(1.0);
    let score = |start: f64| distance(&moments, &levels, start);
    let best = |from: f64, to: f64, step: f64| {
        let count = ((to - from) / step).max(0.0) as usize;
        (0..=count)
            .map(|i| from + i as f64 * step)
            .map(|start| (score(start), start))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let (_, start) = best(first - duration, last, coarse)?;
    let (distance, start) = best(start - coarse, start + coarse, (coarse / 8.0).min(0.25))?;
    let peak = timeline.shape.peak_decoding.max(1.0);
    (distance <= GOOD * peak).then_some(start)
}

/// Requests that the client saw decoding, at even moments of the run.
fn moments(windows: &[Window], duration: f64) -> Vec<(f64, f64)> {
    let mut at = 0;
    (0..SAMPLES)
        .filter_map(|i| {
            let t = duration * (i as f64 + 0.5) / SAMPLES as f64;
            while windows.get(at).is_some_and(|window| window.to < t) {
                at += 1;
            }
            Some((t, windows.get(at)?.decoding))
        })
        .collect()
}

/// Mean difference of the two levels if the run began at `start`.
fn distance(moments: &[(f64, f64)], levels: &[&LogPoint], start: f64) -> f64 {
    let total: f64 = moments
        .iter()
        .map(|(t, decoding)| {
            let clock = start + t;
            let next = levels.partition_point(|point| point.clock < clock);
            let told = levels
                .get(next)
                .filter(|point| point.clock - clock <= point.interval_s.max(STALE_S))
                .and_then(|point| point.running)
                .unwrap_or(0.0);
            (told - decoding).abs()
        })
        .sum();
    total / moments.len().max(1) as f64
}
