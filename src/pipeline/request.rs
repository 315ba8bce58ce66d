//! What is asked of an analysis.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::detail::Detail;
use crate::trace::Stage;

/// Asks for the passes, layers and layer types of a profiler trace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest {
    /// Torch-profiler trace (`.json`, `.json.gz`, `.json.zst`), or a folder
    /// that holds exactly one; absolute path.
    pub trace: PathBuf,
    /// The model's `config.json`, or the folder that holds it; absolute path.
    /// It labels and checks the result and never drives it.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// The pass to open: `auto` (a steady one) or its index from 0.
    #[serde(default)]
    pub pass: PassChoice,
    /// With `pass: auto`, the stage to choose from; default: the stage with
    /// the most steady passes.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// Layers, from 0, whose kernels are listed one by one; default: one of
    /// each layer type.
    #[serde(default)]
    pub layers: Vec<u32>,
    /// Two layers of the chosen pass, from 0, to compare kernel by kernel.
    #[serde(default)]
    pub compare_layers: Option<[u32; 2]>,
    /// A second trace, usually of another engine with the same model; each
    /// layer type of `trace` is compared with the same type there.
    #[serde(default)]
    pub compare_trace: Option<PathBuf>,
    /// The pass of the second trace: `auto` (steady, of the same stage and
    /// nearest batch) or its index from 0.
    #[serde(default)]
    pub compare_pass: PassChoice,
    /// Where to write the report; whoever asks decides.
    #[serde(skip)]
    pub report: Option<PathBuf>,
    /// Where to write a small trace with tracks for passes, layers and
    /// bubbles, for a viewer; `.json.gz`.
    #[serde(default)]
    pub perfetto: Option<PathBuf>,
    /// `summary` shortens long lists and says so; `full` gives everything.
    #[serde(default)]
    pub detail: Detail,
}

/// Which pass to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PassChoice {
    /// Index of a pass, from 0.
    Index(u32),
    /// A steady pass.
    Word(Auto),
}

impl Default for PassChoice {
    fn default() -> Self {
        Self::Word(Auto::Auto)
    }
}

/// The word for a pass that is chosen for its steadiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    Auto,
}

impl PassChoice {
    /// The index that was named.
    pub fn index(self) -> Option<u32> {
        match self {
            Self::Index(index) => Some(index),
            Self::Word(Auto::Auto) => None,
        }
    }
}

impl std::str::FromStr for PassChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Word(Auto::Auto)),
            _ => text
                .parse()
                .map(Self::Index)
                .map_err(|_| format!("`{text}` is neither `auto` nor the index of a pass")),
        }
    }
}
