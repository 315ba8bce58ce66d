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

/// Prompt tokens of the run that its first batch and all later ones hold at least.
const ALL_TOKENS: f64 = 0.98;

impl Timeline {
    /// Adds what the server's log said of this run. False when the run is not
    /// in the log; limits are taken from it all the same.
    pub fn add_log(&mut self, log: &ServerLog) -> bool {
        self.take_limits(log);
        let Some(start) = find(self, &log.points) else {
            self.warn_not_found();
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
        self.take_lines(&lines, start);
        true
    }

    /// Adds a log that holds this run and no other, as a run of ours knows
    /// where in the log it began. False when no batch of it is there.
    pub fn add_log_of_run(&mut self, log: &ServerLog) -> bool {
        self.take_limits(log);
        let begins = log.points.iter().find(|line| line.before == Some(0.0));
        let start = begins
            .map(|line| line.clock)
            .or_else(|| find(self, &log.points));
        let Some(start) = start else {
            self.warn_not_found();
            return false;
        };
        self.take_lines(&log.points, start);
        true
    }

    fn warn_not_found(&mut self) {
        self.run.warnings.push(
            "the run was not found in the server's log; only capacities are taken from it"
                .to_owned(),
        );
    }

    fn take_limits(&mut self, log: &ServerLog) {
        self.run.kv_capacity_tokens = log.kv_capacity_tokens.or(self.run.kv_capacity_tokens);
        self.run.max_running = log.max_running.or(self.run.max_running);
        self.run.chunk_tokens = log.chunk_tokens.or(self.run.chunk_tokens);
        self.run.sources.push("log".to_owned());
    }

    /// Takes the run's lines. Their count of prompt tokens counts only where
    /// the engine told none for each request.
    fn take_lines(&mut self, lines: &[LogPoint], start: f64) {
        let prompts = prompt_tokens(lines);
        if prompts > 0.0 && self.run.server_prompt_tokens.is_none() {
            self.run.server_prompt_tokens = Some(prompts);
        }
        let mut preempted = 0.0;
        for line in lines {
            preempted += line.preempted.unwrap_or_default();
            let point = ServerPoint {
                preemptions: line.preempted.map(|_| preempted),
                source: Source::Log,
                ..line.at(micros(line.clock - start))
            };
            self.server.push(point);
        }
        self.server.sort_by(|a, b| a.t.total_cmp(&b.t));
    }

    /// The line of the run's first batch, which met an idle engine. What
    /// stands before it, such as a client's warm-up, is not the run's; a later
    /// wave may meet an idle engine too, and leaves too few tokens after it.
    /// None where the engine falls idle early in the run, so that several may be.
    fn begins(&self, log: &ServerLog, start: f64) -> Option<usize> {
        let busy = self
            .windows
            .iter()
            .take_while(|window| window.from < START_S)
            .all(|window| window.idle == 0.0);
        if !busy {
            return None;
        }
        let end = start + self.run.duration_s + START_S;
        let asked: u64 = self.requests.iter().map(|request| request.prompt).sum();
        let holds_the_run = |i: usize| {
            let after = log.points.get(i..).unwrap_or_default();
            let until = after.partition_point(|line| line.clock <= end);
            prompt_tokens(after.get(..until).unwrap_or_default()) >= ALL_TOKENS * asked as f64
        };
        let near = |line: &LogPoint| line.begins() && (line.clock - start).abs() <= START_S;
        (0..log.points.len())
            .rev()
            .filter(|i| log.points.get(*i).is_some_and(near))
            .find(|i| holds_the_run(*i))
    }
}

fn prompt_tokens(lines: &[LogPoint]) -> f64 {
    lines.iter().filter_map(|line| line.prompt_tokens).sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::timeline::log::read;
    use crate::bench::timeline::{RequestSpan, RunFacts, Shape};

    /// 24 requests of 300 tokens in three waves of 8, as an engine with eight
    /// places serves a client with 16 in flight.
    fn timeline() -> Timeline {
        let wave = |i: usize| 0.05 + 0.45 * (i / 8) as f64;
        let requests = (0..24).map(|index| RequestSpan {
            index,
            first: wave(index),
            end: wave(index) + 0.4,
            prompt: 300,
            output: 64,
            ..RequestSpan::default()
        });
        let windows = (0..3).map(|i| Window {
            from: wave(8 * i),
            to: wave(8 * i) + 0.45,
            decoding: 8.0,
            ..Window::default()
        });
        Timeline {
            run: RunFacts {
                duration_s: 1.4,
                ..RunFacts::default()
            },
            requests: requests.collect(),
            windows: windows.collect(),
            server: Vec::new(),
            shape: Shape {
                peak_decoding: 8.0,
                ..Shape::default()
            },
        }
    }

    fn log(lines: &[(&str, u32, u32)]) -> ServerLog {
        let lines: String = lines
            .iter()
            .map(|(second, tokens, queue)| {
                format!(
                    "[2026-11-24 14:34:{second}] Prefill batch, #new-seq: 8, #new-token: {tokens}, #cached-token: 0, token usage: 0.01, #running-req: 0, #queue-req: {queue}, #pending-token: 0, cuda graph: True, input throughput (token/s): 45172.65\n\
                     [2026-11-24 14:34:{second}] Decode batch, #running-req: 8, #token: 2672, token usage: 0.01, cuda graph: True, gen throughput (token/s): 1022.18, #queue-req: {queue}\n"
                )
            })
            .collect();
        read(lines.as_bytes(), 0).unwrap()
    }

    #[test]
    fn a_later_wave_that_meets_an_idle_engine_is_not_the_start() {
        let warm_up_and_waves = [
            ("32", 300, 0),
            ("32", 2400, 0),
            ("32", 2400, 0),
            ("33", 2400, 0),
        ];
        let mut timeline = timeline();
        assert!(timeline.add_log(&log(&warm_up_and_waves)));
        assert_eq!(timeline.run.server_prompt_tokens, Some(7200.0));
    }

    #[test]
    fn a_run_of_ours_begins_where_its_part_of_the_log_begins() {
        let waves = [("32", 2400, 8), ("32", 2400, 0), ("33", 2400, 0)];
        let mut timeline = timeline();
        assert!(timeline.add_log_of_run(&log(&waves)));
        assert_eq!(timeline.run.server_prompt_tokens, Some(7200.0));
        let times: Vec<f64> = timeline.server.iter().map(|point| point.t).collect();
        assert_eq!(times, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn the_engines_count_for_each_request_stands_above_the_logs() {
        let mut timeline = timeline();
        timeline.run.server_prompt_tokens = Some(7200.0);
        assert!(timeline.add_log_of_run(&log(&[("32", 2400, 0), ("33", 2400, 0)])));
        assert_eq!(timeline.run.server_prompt_tokens, Some(7200.0));
    }
}
