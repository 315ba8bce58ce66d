//! Names of metrics and patterns of log lines, from
//! `references/timeline-sources.toml`.

use indexmap::IndexMap;
use regex::Regex;
use serde::Deserialize;

use crate::references::{self, Catalogue};

/// Where one engine tells what a timeline needs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSources {
    pub name: String,
    /// Field of a server point to metric names, the best first.
    pub metrics: IndexMap<Field, Vec<String>>,
    pub capacity_label: Option<CapacityLabel>,
    #[serde(default)]
    pub log: Vec<LogPattern>,
}

/// What a metric fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Running,
    Waiting,
    KvUsedTokens,
    KvCapacityTokens,
    KvUsage,
    CacheHitRate,
    CacheQueries,
    CacheHits,
    Preemptions,
    AcceptLength,
    GpuBusyPct,
    PromptTokens,
    GenerationTokens,
    GenerationTps,
}

impl Field {
    /// Whether several ranks' values are averaged rather than summed.
    pub fn is_mean(self) -> bool {
        matches!(
            self,
            Self::KvUsage | Self::CacheHitRate | Self::AcceptLength | Self::GpuBusyPct
        )
    }
}

/// A capacity that stands in the label of an information metric.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityLabel {
    pub metric: String,
    pub label: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPattern {
    /// A piece of the line that is looked for before the pattern is tried.
    pub has: String,
    #[serde(deserialize_with = "references::regex")]
    pub pattern: Regex,
    /// Seconds that rates in the line are means over.
    pub interval_s: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bench) struct Table {
    engine: Vec<EngineSources>,
}

pub(in crate::bench) static SOURCES: Catalogue<Table> = Catalogue::new(
    "timeline-sources.toml",
    include_str!("../../../references/timeline-sources.toml"),
);

/// All engines that are known here.
pub fn all() -> &'static [EngineSources] {
    &SOURCES.table().engine
}

/// The sources of one engine.
pub fn of_engine(name: &str) -> Option<&'static EngineSources> {
    all().iter().find(|engine| engine.name == name)
}
