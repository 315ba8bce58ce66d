//! How events point at what shows them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One row of a recorded table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Number (`seq`) of the event that holds the table: a `gap_checked`,
    /// `profile_recorded`, `pipeline_recorded` or `ncu_recorded` event.
    pub event: u64,
    pub table: Table,
    /// Stage (`prefill`, `decode`, `mixed`) or scenario, where the table has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The row's name: a kernel's name or an unambiguous part of it, a fusion
    /// pattern, a class of work, a layer type, or a cause of the gap.
    pub row: String,
}

/// A table that a citation may point into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// Kernels of a stage.
    Kernel,
    /// Overlap opportunities of a stage.
    Overlap,
    /// Fusion patterns of a stage.
    Fusion,
    /// Classes of work, target against another engine.
    Comparison,
    /// Layer types of a pass.
    Layer,
    /// Hot kernels of a layer type.
    HotKernel,
    /// Causes of the gap from the runs' timelines.
    Attribution,
    /// Kernels of a counter digest.
    Digest,
}

/// A change of the PR history that was consulted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardRef {
    /// The framework whose history it is in.
    pub framework: String,
    /// Number of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<u64>,
    /// Or the path that the notes name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A place in source code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// Path relative to the checkout.
    pub path: PathBuf,
    /// First and last line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<[u32; 2]>,
}

/// Where an idea's code comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Repository, as an absolute folder of a checkout or as a URL.
    pub repo: String,
    /// Full commit hash.
    pub commit: String,
    /// Path inside the repository.
    pub path: String,
    /// First and last line, from 1.
    pub lines: [u32; 2],
    /// SPDX name of the licence, for example Apache-2.0.
    pub licence: String,
    /// SHA-256 of those lines, filled in by the server where it could read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A command that the server ran itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandSeen {
    pub argv: Vec<String>,
    /// Exit code; absent when a signal or the time limit ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    pub log: PathBuf,
    pub log_sha256: String,
}

/// A fact that the server saw with its own eyes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Seen {
    /// This path does not exist.
    MissingPath { path: PathBuf },
    /// This command was run and ended so.
    Command(CommandSeen),
    /// This job of the server failed.
    Job { job_id: String, reason: String },
    /// The user excluded the framework when the campaign was opened.
    Excluded { framework: String, reason: String },
}
