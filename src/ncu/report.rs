//! What a report holds, as plain data.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One report: the session that recorded it and everything that it profiled.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Version of the container; 7 in files of Nsight Compute 2023.3 to 2025.3, 0 for a CSV table.
    pub version: u32,
    pub session: Session,
    /// In the order of the file, which is ncu's `ID` column.
    pub launches: Vec<Launch>,
    /// Modules (cubins) that the launches ran from.
    pub sources: Vec<Source>,
}

/// Who recorded the report, where, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Session {
    pub process_id: u32,
    /// Unix seconds.
    pub created: u64,
    pub devices: Vec<Device>,
    /// Provider (`CUDA Version`, `Display Driver Version`, ...) and version.
    pub versions: Vec<(String, String)>,
    /// The whole `ncu` command line. It may hold host names and paths.
    pub command: String,
    pub host: Option<System>,
    pub target: Option<System>,
    pub comments: Vec<String>,
}

/// A machine that took part in recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct System {
    pub os: String,
    pub build: String,
    pub processor: String,
    pub architecture: String,
    pub computer: String,
}

/// One GPU and its attributes, as the driver gave them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Device {
    pub id: u32,
    pub name: String,
    pub attributes: Vec<(String, Option<Value>)>,
}

impl Device {
    /// A numeric attribute, e.g. `multiprocessor_count`.
    pub fn attribute(&self, name: &str) -> Option<f64> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.as_ref()?.number())
    }
}

/// What was profiled as one result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    #[default]
    Kernel,
    Range,
    CommandList,
    Graph,
}

/// One profiled kernel launch, range, command list or graph.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Launch {
    pub kind: ResultKind,
    /// Demangled name, else the function name, else the mangled one.
    pub name: String,
    pub function: String,
    pub mangled: String,
    pub grid: [u64; 3],
    pub block: [u64; 3],
    pub context: u32,
    pub stream: u32,
    pub thread: u32,
    pub api_call: u64,
    /// Unix seconds.
    pub created: u64,
    pub process: Process,
    /// Compute capability as (major, minor); (0, 0) when the report does not say.
    pub compute_capability: (u32, u32),
    /// Whether ncu locked the clocks to base: asked for, done. `None` when not recorded.
    pub clocks_locked: Option<(bool, bool)>,
    pub comments: String,
    /// References into [`Report::sources`].
    pub sources: Vec<u64>,
    pub metrics: Metrics,
    pub sections: Vec<Section>,
    pub rules: Vec<RuleResult>,
    pub nvtx: bool,
}

impl Launch {
    /// The number that a metric holds, in base units (ns, bytes, hz, percent,
    /// counts). `None` when it was not collected or holds no number.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric)?.value.as_ref()?.number()
    }

    /// All the messages that ncu's rules left, in file order.
    pub fn messages(&self) -> impl Iterator<Item = (&RuleResult, &RuleItem, &RuleMessage)> {
        self.rules.iter().flat_map(|rule| {
            rule.items
                .iter()
                .filter_map(move |item| Some((rule, item, item.message.as_ref()?)))
        })
    }
}

/// The process that launched the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    pub id: u32,
    pub host: String,
    pub name: String,
}

/// The metrics of one launch, looked up by name.
///
/// Names are shared by all launches of a report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    pub(super) names: Arc<Names>,
    /// Sorted by name id, one entry a name.
    pub(super) entries: Vec<Metric>,
}

impl Metrics {
    pub fn get(&self, name: &str) -> Option<&Metric> {
        let id = self.names.id(name)?;
        let at = self
            .entries
            .binary_search_by_key(&id, |metric| metric.name)
            .ok()?;
        self.entries.get(at)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and metrics, in the order of the report's string table.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metric)> {
        self.entries
            .iter()
            .map(|metric| (self.names.text(metric.name), metric))
    }
}

impl Serialize for Metrics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Interned metric names.
#[derive(Debug, Default, PartialEq)]
pub struct Names {
    strings: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The id of a name, the same for equal names.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = u32::try_from(self.strings.len()).unwrap_or(u32::MAX);
        let shared: Arc<str> = name.into();
        self.strings.push(shared.clone());
        self.index.insert(shared, id);
        id
    }

    pub fn id(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    pub fn text(&self, id: u32) -> &str {
        self.strings.get(id as usize).map_or("", |name| name)
    }
}

/// One metric: a scalar, per-instance values, both, or neither (asked for but not collected).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metric {
    #[serde(skip)]
    pub(super) name: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Instances::is_empty")]
    pub instances: Instances,
    /// Whether the instances are samples over time (keys are Unix ns).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sampled: bool,
}

/// A scalar as it was stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    U64(u64),
    F64(f64),
    Text(Box<str>),
}

impl Value {
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::U64(value) => Some(*value as f64),
            Self::F64(value) => Some(*value),
            Self::Text(_) => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Per-instance values: two columns of equal length.
///
/// Keys are device PCs, opcodes, sweep points or timestamps, by metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Instances {
    pub keys: Column,
    pub values: Column,
}

impl Instances {
    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Key and value where both are numbers (per-PC metrics, time series).
    pub fn numbers(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        (0..self.len()).filter_map(|at| match self.keys.get(at)? {
            Value::U64(key) => Some((key, self.values.get(at)?.number()?)),
            _ => None,
        })
    }

    /// Key and value where the key is text (per-opcode metrics).
    pub fn named(&self) -> impl Iterator<Item = (Box<str>, f64)> + '_ {
        (0..self.len()).filter_map(|at| match self.keys.get(at)? {
            Value::Text(key) => Some((key, self.values.get(at)?.number()?)),
            _ => None,
        })
    }
}

/// A column of one type while all its cells are of one type.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Column {
    #[default]
    Empty,
    U64(Vec<u64>),
    F64(Vec<f64>),
    Text(Vec<Box<str>>),
    Mixed(Vec<Option<Value>>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::U64(cells) => cells.len(),
            Self::F64(cells) => cells.len(),
            Self::Text(cells) => cells.len(),
            Self::Mixed(cells) => cells.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, at: usize) -> Option<Value> {
        match self {
            Self::Empty => None,
            Self::U64(cells) => cells.get(at).copied().map(Value::U64),
            Self::F64(cells) => cells.get(at).copied().map(Value::F64),
            Self::Text(cells) => cells.get(at).cloned().map(Value::Text),
            Self::Mixed(cells) => cells.get(at).cloned().flatten(),
        }
    }

    pub(super) fn push(&mut self, cell: Option<Value>) {
        match (&mut *self, cell) {
            (Self::U64(cells), Some(Value::U64(value))) => cells.push(value),
            (Self::F64(cells), Some(Value::F64(value))) => cells.push(value),
            (Self::Text(cells), Some(Value::Text(value))) => cells.push(value),
            (Self::Mixed(cells), cell) => cells.push(cell),
            (Self::Empty, Some(Value::U64(value))) => *self = Self::U64(vec![value]),
            (Self::Empty, Some(Value::F64(value))) => *self = Self::F64(vec![value]),
            (Self::Empty, Some(Value::Text(value))) => *self = Self::Text(vec![value]),
            (_, cell) => {
                let mut cells: Vec<_> = (0..self.len()).map(|at| self.get(at)).collect();
                cells.push(cell);
                *self = Self::Mixed(cells);
            }
        }
    }
}

/// A section's definition: its values are looked up among the metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Section {
    pub identifier: String,
    pub title: String,
    pub order: u32,
    pub description: String,
    pub header: Vec<HeaderMetric>,
}

/// One cell of a section's header table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HeaderMetric {
    pub name: String,
    pub label: String,
    pub unit: String,
}

/// What one of ncu's rules said about a launch.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleResult {
    pub identifier: String,
    pub title: String,
    pub section: String,
    /// Empty when the rule ran and found nothing.
    pub items: Vec<RuleItem>,
    pub markers: Vec<SourceMarker>,
}

/// One finding; its speedup belongs to its message.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleItem {
    pub message: Option<RuleMessage>,
    pub speedup: Option<Speedup>,
    pub focus: Vec<FocusMetric>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleMessage {
    /// With links written as `Label (url)`, as ncu's CSV does.
    pub text: String,
    pub title: String,
    pub kind: MessageKind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    #[default]
    None,
    Ok,
    Warning,
    Error,
    Optimization,
}

/// ncu's estimate of what mending the finding is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Speedup {
    pub scope: SpeedupScope,
    /// Percent of run time (global) or of the unit's efficiency (local).
    pub percent: f64,
}

#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SpeedupScope {
    #[default]
    Unknown,
    Local,
    Global,
}

/// A metric that a rule points at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FocusMetric {
    pub name: String,
    pub value: f64,
    /// 0 default, 1 low, 2 high.
    pub severity: u32,
    pub info: String,
}

/// A place in the code that a rule points at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceMarker {
    /// Source file of a line marker; empty for a SASS address.
    pub file: String,
    pub line: Option<u32>,
    /// Absolute device PC.
    pub address: Option<u64>,
    pub text: String,
}

/// A module: where its cubin lies in the report, and where its functions were loaded.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Source {
    pub reference: u64,
    /// Compute capability as (major, minor).
    pub compute_capability: (u32, u32),
    /// The ELF64 cubin, by its place in the report file.
    pub binary: Option<Span>,
    /// Mangled symbol and run-time base address of each function.
    pub functions: Vec<(String, u64)>,
    /// Only with `--import-source`.
    pub files: Vec<SourceFile>,
}

/// A stretch of bytes in the report file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    pub offset: u64,
    pub length: u64,
}

/// A source file that the report carries.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SourceFile {
    pub name: String,
    pub content: String,
}
