//! A framework of the plan: how its server is started, and what is tried.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Executor, Flags};

/// One framework and its search space.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Framework {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The dialect; default: the framework's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Replaces the engine's usual entry point; `{host}`, `{port}` and
    /// `{model}` are filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A server that runs already: nothing is launched, and it is left running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Interpreter that has the framework installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// The framework's own sources, where they are what is being worked on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Whether flags are held against the server's own help; default: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_flags: Option<bool>,
    pub base_server_flags: Flags,
    /// Values to try instead of the baseline's, flag by flag.
    pub search_space: IndexMap<String, Vec<Value>>,
    /// Candidates by id, each with all its flags, instead of a search: every
    /// one is repeated. A revalidation's plan has them.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub candidates: IndexMap<String, Flags>,
    /// Whether the engine's own knobs are added to the search space.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default_search_space: bool,
    /// Environment of the server.
    pub env: IndexMap<String, String>,
    /// Variables taken from this process's environment; never written down.
    pub env_from: Vec<String>,
    /// Where its servers run; default: this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
}

impl Framework {
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    pub fn checks_flags(&self) -> bool {
        self.check_flags.unwrap_or(true)
    }

    /// The interpreter that has the framework, where the plan names one.
    pub fn interpreter(&self) -> Option<&PathBuf> {
        let own = self
            .source
            .as_ref()
            .and_then(|source| source.python.as_ref());
        own.or(self.python.as_ref())
    }
}

/// A checkout that a framework must run from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Top folder of the git working tree, absolute.
    pub checkout: PathBuf,
    /// Interpreter that imports the framework from it; default: the framework's `python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// Commands run in the checkout before the first launch at a new tree, each
    /// an array; `{python}` and `{checkout}` are filled in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<Vec<String>>,
    /// Whether a launch is refused when the interpreter imports the framework
    /// from elsewhere.
    #[serde(default = "yes")]
    pub verify: bool,
}

fn yes() -> bool {
    true
}
