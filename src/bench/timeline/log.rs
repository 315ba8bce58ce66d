//! What a server's log tells: batch lines, capacities, preemptions.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use regex::Captures;

use super::record::{ServerPoint, Source};
use super::sources::{self, EngineSources};
use crate::bounded_lines::BoundedLines;
use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

/// Longest piece of a line that is looked at.
const LONGEST_LINE: u64 = 1 << 16;
/// No more lines of interest than this are kept.
const MOST_POINTS: usize = 500_000;

/// A log that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{}: no line of a known engine: neither batch lines nor a KV capacity", path.display())]
    NothingKnown { path: PathBuf },
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        match error {
            LogError::Disk(error) => error.into(),
            LogError::NothingKnown { path } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "give the log that SGLang's or vLLM's server wrote during the run, or leave it out",
            )
            .with_evidence(path.display().to_string()),
        }
    }
}

/// What a server's log tells of its runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerLog {
    /// The engine whose lines these are.
    pub engine: String,
    pub points: Vec<LogPoint>,
    pub kv_capacity_tokens: Option<u64>,
    pub max_running: Option<u64>,
    pub chunk_tokens: Option<u64>,
}

/// One line with a time. `clock` is in seconds since some day; only
/// differences mean anything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LogPoint {
    pub clock: f64,
    pub running: Option<f64>,
    pub waiting: Option<f64>,
    pub kv_used: Option<f64>,
    /// 0 to 1.
    pub kv_usage: Option<f64>,
    pub generation_tps: Option<f64>,
    /// Prompt tokens of this line's batch or interval, cached ones included.
    pub prompt_tokens: Option<f64>,
    pub cached_tokens: Option<f64>,
    pub preempted: Option<f64>,
    /// Requests that ran before this line's batch.
    pub before: Option<f64>,
    /// Seconds that the line speaks of, up to `clock`.
    pub interval_s: f64,
}

impl LogPoint {
    /// Whether nothing ran or waited before this line's batch.
    pub(super) fn begins(&self) -> bool {
        self.before == Some(0.0) && self.waiting == Some(0.0)
    }

    /// The line as a server point at `t`; preemptions are filled by the caller.
    pub(super) fn at(&self, t: f64) -> ServerPoint {
        ServerPoint {
            t,
            source: Source::Log,
            running: self.running,
            waiting: self.waiting,
            kv_used_tokens: self.kv_used,
            kv_usage: self.kv_usage,
            generation_tps: self.generation_tps,
            ..ServerPoint::default()
        }
    }
}

/// Reads a log, plain or gzipped, whole or from byte `from` on. The lines
/// before `from` are read for capacities only.
pub fn read_log(path: &Path, from: u64) -> Result<ServerLog, LogError> {
    let wrap = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(wrap)?;
    let mut magic = Vec::new();
    file.by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(wrap)?;
    file.seek(SeekFrom::Start(0)).map_err(wrap)?;
    let source: Box<dyn Read> = if magic == [0x1f, 0x8b] {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let log = read(BufReader::new(source), from).map_err(wrap)?;
    if log.engine.is_empty() {
        return Err(LogError::NothingKnown {
            path: path.to_path_buf(),
        });
    }
    Ok(log)
}

pub(super) fn read(lines: impl BufRead, from: u64) -> std::io::Result<ServerLog> {
    let mut log = ServerLog::default();
    let mut at = 0;
    let mut lines = BoundedLines::new(lines, LONGEST_LINE);
    while let Some(line) = lines.next_line()? {
        if log.points.len() < MOST_POINTS {
            log.take(&String::from_utf8_lossy(line), at >= from);
        }
        at += line.len() as u64;
    }
    Ok(log)
}

impl ServerLog {
    fn take(&mut self, line: &str, in_range: bool) {
        for engine in self.engines() {
            for pattern in &engine.log {
                if !line.contains(pattern.has.as_str()) {
                    continue;
                }
                let Some(found) = pattern.pattern.captures(line) else {
                    continue;
                };
                self.engine.clone_from(&engine.name);
                self.limits(&found);
                if in_range && let Some(clock) = clock(&found) {
                    let interval = pattern.interval_s.unwrap_or_default();
                    self.points.push(point(&found, clock, interval));
                }
                return;
            }
        }
    }

    /// Once a line of one engine was seen, only that one is looked for.
    fn engines(&self) -> &'static [EngineSources] {
        let all = sources::all();
        match all.iter().position(|engine| engine.name == self.engine) {
            Some(known) => all.get(known..=known).unwrap_or(all),
            None => all,
        }
    }

    fn limits(&mut self, found: &Captures<'_>) {
        let whole = |name: &str| number(found, name).map(|value| value as u64);
        self.kv_capacity_tokens = whole("capacity").or(self.kv_capacity_tokens);
        self.max_running = whole("max_running").or(self.max_running);
        self.chunk_tokens = whole("chunk")
            .filter(|chunk| *chunk > 0)
            .or(self.chunk_tokens);
    }
}

fn number(found: &Captures<'_>, name: &str) -> Option<f64> {
    let text = found.name(name)?.as_str();
    if text.contains(',') {
        text.replace(',', "").parse().ok()
    } else {
        text.parse().ok()
    }
}

fn point(found: &Captures<'_>, clock: f64, interval_s: f64) -> LogPoint {
    let get = |name: &str| number(found, name);
    let cached = get("cached_tokens");
    let computed = get("new_tokens").or_else(|| get("prompt_tps").map(|tps| tps * interval_s));
    LogPoint {
        clock,
        running: get("running"),
        waiting: get("waiting"),
        kv_used: get("kv_used"),
        kv_usage: get("usage").or_else(|| get("usage_pct").map(|pct| pct / 100.0)),
        generation_tps: get("tps"),
        prompt_tokens: computed.map(|tokens| tokens + cached.unwrap_or_default()),
        cached_tokens: cached,
        preempted: get("preempted"),
        before: get("before"),
        interval_s,
    }
}

/// Seconds since the start of an age in which years are leap years when they
/// say which year it is, and otherwise since the start of the year.
fn clock(found: &Captures<'_>) -> Option<f64> {
    let get = |name: &str| number(found, name);
    let (month, day) = (get("month")?, get("day")?);
    // Days from 0000-03-01 by the civil calendar (Howard Hinnant's algorithm).
    let year = get("year").unwrap_or(2000.0) - f64::from(u8::from(month <= 2.0));
    let shifted = (month + 9.0) % 12.0;
    let days = (year * 365.25).floor() - (year / 100.0).floor()
        + (year / 400.0).floor()
        + ((153.0 * shifted + 2.0) / 5.0).floor()
        + day;
    Some(days * 86_400.0 + get("hour")? * 3_600.0 + get("minute")? * 60.0 + get("second")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SGLANG: &str = "\
[2026-11-24 06:18:41] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 370553, K size: 25.44 GB, V size: 25.44 GB
[2026-11-24 06:18:57] max_total_num_tokens=370553, chunked_prefill_size=8192, max_prefill_tokens=16384, max_running_requests=4096, context_len=10240, available_gpu_mem=12.27 GB
[2026-11-24 06:20:09] Prefill batch, #new-seq: 1, #new-token: 4048, #cached-token: 12, token usage: 0.88, #running-req: 36, #queue-req: 43, #pending-token: 378083, cuda graph: True, input throughput (token/s): 33933.14
[2026-11-24 06:20:10] Decode batch, #running-req: 37, #token: 325069, token usage: 0.88, cuda graph: True, gen throughput (token/s): 78.92, #queue-req: 43
";

    const VLLM: &str = "\
(EngineCore pid=792) INFO 11-24 06:01:31 [kv_cache_utils.py:2146] GPU KV cache size: 384,560 tokens
(APIServer pid=556) INFO 11-24 06:03:40 [loggers.py:273] Engine 000: Avg prompt throughput: 13595.2 tokens/s, Avg generation throughput: 1263.2 tokens/s, Running: 46 reqs, Waiting: 34 reqs, GPU KV cache usage: 99.2%, Prefix cache hit rate: 0.0%
";

    #[test]
    fn sglangs_lines() {
        let log = read(SGLANG.as_bytes(), 0).unwrap();
        assert_eq!(log.engine, "sglang");
        assert_eq!(log.kv_capacity_tokens, Some(370_553));
        assert_eq!(log.max_running, Some(4096));
        assert_eq!(log.chunk_tokens, Some(8192));
        assert_eq!(log.points.len(), 2);
        assert_eq!(log.points[0].prompt_tokens, Some(4060.0));
        assert_eq!(log.points[1].running, Some(37.0));
        assert_eq!(log.points[1].kv_used, Some(325_069.0));
        assert_eq!(log.points[1].clock - log.points[0].clock, 1.0);
    }

    #[test]
    fn vllms_lines() {
        let log = read(VLLM.as_bytes(), 0).unwrap();
        assert_eq!(log.engine, "vllm");
        assert_eq!(log.kv_capacity_tokens, Some(384_560));
        assert_eq!(log.points[0].running, Some(46.0));
        assert_eq!(log.points[0].kv_usage, Some(0.992));
        assert_eq!(log.points[0].prompt_tokens, Some(135_952.0));
    }

    #[test]
    fn a_later_part_keeps_the_capacities() {
        let log = read(SGLANG.as_bytes(), 500).unwrap();
        assert_eq!(log.kv_capacity_tokens, Some(370_553));
        assert_eq!(log.points.len(), 1);
    }

    #[test]
    fn the_clock_runs_over_midnight_and_months() {
        let at = |time: &str| {
            let line = format!(
                "[{time}] Decode batch, #running-req: 1, #token: 1, token usage: 0.0, gen throughput (token/s): 1.0, #queue-req: 0"
            );
            read(line.as_bytes(), 0).unwrap().points[0].clock
        };
        assert_eq!(at("2028-03-01 00:00:05") - at("2028-02-29 23:59:55"), 10.0);
        assert_eq!(at("2027-03-01 00:00:05") - at("2027-02-28 23:59:55"), 10.0);
        assert_eq!(at("2027-01-01 00:00:05") - at("2026-12-31 23:59:55"), 10.0);
    }
}
