//! Reading `candidates.jsonl`: one row a candidate, scenario, load and repeat.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::GapError;
use crate::bounded_lines::BoundedLines;

/// Longest line that is read, in bytes; real rows have a few thousand.
pub const MAX_LINE_BYTES: usize = 4 << 20;
/// Most rows that are read; a job has some hundreds.
pub const MAX_ROWS: usize = 200_000;

/// How a run of one candidate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Failed,
    Oom,
    Timeout,
    Skipped,
    Cancelled,
}

impl Status {
    /// Whether the candidate was tried and did not finish.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Oom | Self::Timeout)
    }

    /// The name as rows write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Oom => "oom",
            Self::Timeout => "timeout",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a gap check reads of one row; all other keys are ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub framework: Box<str>,
    pub candidate_id: Box<str>,
    pub status: Status,
    #[serde(default)]
    pub failure_reason: Option<Box<str>>,
    /// Index of the session within its job; equal indices form a pair.
    pub repeat: u32,
    /// `search` rows chose the winners; `measure` rows repeat them.
    #[serde(default)]
    pub phase: Option<String>,
    #[serde(default)]
    pub label: Option<Box<str>>,
    #[serde(default)]
    pub job_id: Option<Box<str>>,
    /// Number of the server launch that served this row, where it is recorded.
    #[serde(default, deserialize_with = "number_or_none")]
    pub launch: Option<f64>,
    #[serde(default)]
    pub model: Option<Box<str>>,
    /// Another client that measured the row.
    #[serde(default)]
    pub client: Option<Box<str>>,
    #[serde(default)]
    pub workload_sha256: Option<Box<str>>,
    pub workload: Workload,
    #[serde(default)]
    pub sla: Option<Sla>,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub hardware: Option<Hardware>,
    #[serde(default)]
    pub cache: Option<Cache>,
    #[serde(default)]
    pub spec_decode: Option<SpecDecode>,
    #[serde(default)]
    pub normalization: Option<Normalization>,
    /// What the server's own counters grew by in the run.
    #[serde(default)]
    pub server_counts: Option<ServerCounts>,
    #[serde(default)]
    pub artifacts: Option<Artifacts>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ServerCounts {
    #[serde(default, deserialize_with = "number_or_none")]
    pub prompt_tokens: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Artifacts {
    #[serde(default)]
    pub timeline: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Workload {
    pub scenario: Box<str>,
    /// Requests per second; absent or infinite means all at once.
    #[serde(default, deserialize_with = "number_or_none")]
    pub request_rate: Option<f64>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub max_concurrency: Option<f64>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub input_len: Option<f64>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub output_len: Option<f64>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub num_prompts: Option<f64>,
    #[serde(default)]
    pub endpoint: Option<Box<str>>,
    #[serde(default)]
    pub workload_sha256: Option<Box<str>>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Sla {
    #[serde(default)]
    pub passed: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Hardware {
    #[serde(default)]
    pub gpu_model: Option<Box<str>>,
    #[serde(default, deserialize_with = "number_or_none")]
    pub gpu_count: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cache {
    #[serde(default)]
    pub prefix_cache_enabled: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SpecDecode {
    #[serde(default)]
    pub enabled: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Normalization {
    #[serde(default)]
    pub same_gpu_count: Option<bool>,
    #[serde(default)]
    pub same_model_weights: Option<bool>,
    #[serde(default)]
    pub same_tokenizer: Option<bool>,
    #[serde(default)]
    pub same_endpoint: Option<bool>,
}

/// The measured numbers of a row. Null, text and absent are all "not measured".
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// All names, one after the other: one allocation a row instead of one a metric.
    names: String,
    /// Where each name ends, and its value.
    values: Vec<(u32, f64)>,
}

impl Metrics {
    /// A measured value; zero and negative numbers count as not measured,
    /// because no rate or latency of a finished run is zero.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.raw(name)
            .filter(|value| value.is_finite() && *value > 0.0)
    }

    /// The value as written, whatever it is.
    pub fn raw(&self, name: &str) -> Option<f64> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Names of all numeric metrics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let mut start = 0;
        self.values.iter().map(move |(end, value)| {
            let end = *end as usize;
            let name = self.names.get(start..end).unwrap_or_default();
            start = end;
            (name, *value)
        })
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MetricsVisitor)
    }
}

struct MetricsVisitor;

impl<'de> Visitor<'de> for MetricsVisitor {
    type Value = Metrics;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("an object of numbers")
    }

    fn visit_unit<E>(self) -> Result<Metrics, E> {
        Ok(Metrics::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
        let mut metrics = Metrics {
            names: String::with_capacity(256),
            values: Vec::with_capacity(16),
        };
        while let Some(name) = map.next_key::<Cow<str>>()? {
            if let Number(Some(value)) = map.next_value()? {
                metrics.names.push_str(&name);
                metrics.values.push((metrics.names.len() as u32, value));
            }
        }
        Ok(metrics)
    }
}

/// A number, or nothing for any other kind of value.
struct Number(Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor).map(Number)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Option<f64>;

    fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.parse().ok().filter(|value: &f64| value.is_finite()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn number_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Number::deserialize(deserializer).map(|number| number.0)
}

/// The rows of one file, and what was noticed while reading them.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub warnings: Vec<String>,
}

/// Reads a `candidates.jsonl`, keeping of each row only what a gap check needs.
///
/// A last line without its line end that is not whole JSON is being written or
/// was torn by a crash: it is left out, with a warning.
pub fn read_rows(path: &Path) -> Result<Rows, GapError> {
    let wrap = |source| GapError::Read {
        path: path.to_path_buf(),
        source,
    };
    let reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(wrap)?);
    let mut lines = BoundedLines::new(reader, MAX_LINE_BYTES as u64 + 1);
    let mut found = Rows::default();
    for line in 1.. {
        let Some(buffer) = lines.next_line().map_err(wrap)? else {
            break;
        };
        if buffer.len() > MAX_LINE_BYTES {
            return Err(GapError::LineTooLong {
                path: path.to_path_buf(),
                line,
                limit: MAX_LINE_BYTES,
            });
        }
        if buffer.trim_ascii().is_empty() {
            continue;
        }
        if found.rows.len() == MAX_ROWS {
            return Err(GapError::TooManyRows {
                path: path.to_path_buf(),
                limit: MAX_ROWS,
            });
        }
        match serde_json::from_slice(buffer) {
            Ok(row) => found.rows.push(row),
            Err(error) if error.is_eof() && buffer.last() != Some(&b'\n') => {
                found.warnings.push(format!(
                    "{}:{line}: the last line is cut off and was left out",
                    path.display()
                ));
            }
            Err(error) => {
                return Err(GapError::BadRow {
                    path: path.to_path_buf(),
                    line,
                    key: key_before(buffer, &error),
                    problem: problem(&error),
                });
            }
        }
    }
    Ok(found)
}

/// The key that an error is about: the one that serde names, else the last key
/// that was begun before the place where parsing stopped.
fn key_before(line: &[u8], error: &serde_json::Error) -> String {
    let message = error.to_string();
    if let Some(named) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        return named.to_owned();
    }
    let end = error.column().min(line.len());
    let before = &line[..end];
    let mut keys = before
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair == b"\":")
        .map(|(quote, _)| quote);
    let Some(quote) = keys.next_back() else {
        return "(none)".to_owned();
    };
    let start = memchr::memrchr(b'"', &before[..quote]).map_or(0, |at| at + 1);
    String::from_utf8_lossy(&before[start..quote]).into_owned()
}

/// serde_json's message with "line 1 column n" turned into the byte of the line.
fn problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} (byte {} of the line)", error.column()),
        None => message,
    }
}
