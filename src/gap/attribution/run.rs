//! Reading `timeline.jsonl`, of each line only what an attribution needs.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use crate::bounded_lines::BoundedLines;
use crate::gap::GapError;

/// Longest line that is read.
const LONGEST_LINE: u64 = 4 << 20;
/// Most requests that are read.
pub const MAX_REQUESTS: usize = 2_000_000;
/// Most windows and moments of the engine; a run has some thousands.
const MAX_WINDOWS: usize = 100_000;
const MAX_POINTS: usize = 1_000_000;

/// One run, as its timeline holds it. Times are seconds from the moment at
/// which the first request was sent.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub facts: Facts,
    pub shape: Shape,
    pub requests: Vec<Request>,
    pub windows: Vec<Window>,
    pub server: Vec<Point>,
}

/// What holds for the run as a whole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub framework: String,
    pub candidate_id: String,
    pub duration_s: f64,
    pub request_rate: Option<f64>,
    /// Cap of requests in flight that the client kept.
    pub max_concurrency: Option<u32>,
    pub kv_capacity_tokens: Option<f64>,
    pub max_running: Option<f64>,
    pub chunk_tokens: Option<f64>,
    pub server_prompt_tokens: Option<f64>,
    pub failed: u64,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Shape {
    pub peak_decoding: f64,
    pub mean_decoding: f64,
    pub tail_s: f64,
    pub tail_decoding: f64,
    pub waves: Vec<Wave>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Wave {
    pub from: f64,
    pub to: f64,
    pub requests: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Request {
    pub index: usize,
    pub sent: f64,
    pub first: f64,
    pub end: f64,
    pub prompt: f64,
    pub output: f64,
    #[serde(default)]
    pub pauses: Vec<Pause>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Pause {
    pub from: f64,
    pub to: f64,
    pub tokens: f64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Window {
    pub from: f64,
    pub to: f64,
    pub waiting: f64,
    pub prefilling: f64,
    pub decoding: f64,
    pub tokens: f64,
    pub context: f64,
    pub prompt_tokens: f64,
    pub idle: f64,
}

impl Window {
    pub fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Decode steps in it: tokens of the whole batch over its size.
    pub fn steps(&self) -> f64 {
        self.tokens / self.decoding.max(1.0)
    }

    /// Requests that are sent and have not ended, at the mean.
    pub fn in_flight(&self) -> f64 {
        self.waiting + self.prefilling + self.decoding
    }

    /// Whether some request's prompt may have been computed in it.
    pub fn may_prefill(&self) -> bool {
        const SOME: f64 = 0.05;
        self.prompt_tokens > 0.0 || self.waiting + self.prefilling >= SOME
    }

    /// Whether it holds decode steps and nothing else.
    pub fn only_decodes(&self) -> bool {
        self.prompt_tokens == 0.0 && self.decoding >= 0.5 && self.steps() >= 1.5
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub struct Point {
    pub t: f64,
    pub running: Option<f64>,
    pub kv_usage: Option<f64>,
    pub cache_hit_rate: Option<f64>,
    pub preemptions: Option<f64>,
    pub accept_length: Option<f64>,
    pub gpu_busy_pct: Option<f64>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Run(Facts),
    Shape(Shape),
    Server(Point),
    Window(Window),
    Request(Request),
    #[serde(other)]
    Other,
}

/// Reads a timeline file.
pub fn read_run(path: &Path) -> Result<Run, GapError> {
    let wrap = |source| GapError::ReadTimeline {
        path: path.to_path_buf(),
        source,
    };
    let file = std::fs::File::open(path).map_err(wrap)?;
    parse_run(BufReader::with_capacity(1 << 18, file), path)
}

/// Reads the lines of a timeline; `path` names them in errors.
pub fn parse_run(lines: impl BufRead, path: &Path) -> Result<Run, GapError> {
    let bad = |line: usize, problem: String| GapError::BadTimeline {
        path: path.to_path_buf(),
        line,
        problem,
    };
    let mut run = Run::default();
    let mut seen = false;
    let mut lines = BoundedLines::new(lines, LONGEST_LINE);
    let failed = |source| GapError::ReadTimeline {
        path: path.to_path_buf(),
        source,
    };
    for number in 1.. {
        let Some(text) = lines.next_line().map_err(failed)? else {
            break;
        };
        let line: Line =
            serde_json::from_slice(text).map_err(|error| bad(number, error.to_string()))?;
        match line {
            Line::Run(facts) => {
                run.facts = facts;
                seen = true;
            }
            Line::Shape(shape) => run.shape = shape,
            Line::Server(point) => run.server.push(point),
            Line::Window(window) => run.windows.push(window),
            Line::Request(request) => run.requests.push(request),
            Line::Other => {}
        }
        if run.requests.len() > MAX_REQUESTS {
            return Err(bad(number, format!("more than {MAX_REQUESTS} requests")));
        }
        if run.windows.len() > MAX_WINDOWS || run.server.len() > MAX_POINTS {
            let problem = format!("more than {MAX_WINDOWS} windows or {MAX_POINTS} moments");
            return Err(bad(number, problem));
        }
    }
    if !seen || run.requests.is_empty() || run.windows.is_empty() {
        return Err(bad(
            1,
            "no line of kind `run`, or no request or window".to_owned(),
        ));
    }
    run.check().map_err(|problem| bad(1, problem))?;
    Ok(run)
}

impl Run {
    fn check(&self) -> Result<(), String> {
        let sound = |request: &Request| {
            [
                request.sent,
                request.first,
                request.end,
                request.prompt,
                request.output,
            ]
            .iter()
            .all(|value| value.is_finite() && *value >= 0.0)
                && request.end >= request.first
                && request.first >= request.sent
        };
        if !(self.facts.duration_s.is_finite() && self.facts.duration_s > 0.0) {
            return Err("duration_s is not a positive number".to_owned());
        }
        match self.requests.iter().find(|request| !sound(request)) {
            Some(request) => Err(format!(
                "request {}: sent, first and end are not in this order",
                request.index
            )),
            None => Ok(()),
        }
    }

    /// The engine with its candidate, for messages.
    pub fn name(&self) -> &str {
        if self.facts.framework.is_empty() {
            "the run"
        } else {
            &self.facts.framework
        }
    }

    pub fn prompt_tokens(&self) -> f64 {
        self.requests.iter().map(|request| request.prompt).sum()
    }

    pub fn output_tokens(&self) -> f64 {
        self.requests.iter().map(|request| request.output).sum()
    }

    /// Prompt tokens as the server counted them over those that the client
    /// counted; 1 where the server does not say or they agree within 2%.
    pub fn prompt_scale(&self) -> f64 {
        const AGREE: f64 = 0.02;
        let scale = self
            .facts
            .server_prompt_tokens
            .map_or(1.0, |tokens| tokens / self.prompt_tokens().max(1.0));
        // Beyond a factor of two the log speaks of something else.
        if (scale - 1.0).abs() > AGREE && (0.5..=2.0).contains(&scale) {
            scale
        } else {
            1.0
        }
    }

    /// Tokens by which a context is longer on the server than the client
    /// counts, at the mean over output tokens, where prompts are `scale` times
    /// as long.
    pub fn longer_context(&self, scale: f64) -> f64 {
        let prompts: f64 = self.requests.iter().map(|r| r.output * r.prompt).sum();
        (scale - 1.0) * prompts / self.output_tokens().max(1.0)
    }

    pub fn preemptions(&self) -> usize {
        self.requests
            .iter()
            .map(|request| request.pauses.len())
            .sum()
    }

    /// Preemptions as the engine counted them during the run.
    pub fn counted_preemptions(&self) -> f64 {
        let mut counts = self.server.iter().filter_map(|point| point.preemptions);
        let first = counts.next().unwrap_or_default();
        (counts.next_back().unwrap_or(first) - first).max(0.0)
    }

    pub fn mean_ttft_s(&self) -> f64 {
        let sum: f64 = self.requests.iter().map(|r| r.first - r.sent).sum();
        sum / self.requests.len().max(1) as f64
    }
}
