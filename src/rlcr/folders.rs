//! Where hosts keep skills and plugins, and where repositories are checked out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A program that runs agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    Claude,
    Codex,
}

/// Most entries of one folder that are looked at.
const MOST: usize = 2000;

/// The places of this user and process.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    pub home: Option<PathBuf>,
    /// The host that this process was started by, where that is known.
    pub running: Option<Host>,
    pub workspace: PathBuf,
    pub checkout: Option<PathBuf>,
    /// Environment variables that name folders.
    pub variables: BTreeMap<String, PathBuf>,
}

impl Folders {
    /// As the environment says. `client` is the name that an MCP client gave.
    pub fn from_env(workspace: &Path, checkout: Option<&Path>, client: Option<&str>) -> Self {
        let variables: BTreeMap<String, PathBuf> = std::env::vars_os()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name.into_string().ok()?, PathBuf::from(value))))
            .collect();
        Self {
            home: variables.get("HOME").cloned(),
            running: running_host(client, &variables),
            workspace: workspace.to_path_buf(),
            checkout: checkout.map(Path::to_path_buf),
            variables,
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).cloned()
    }

    /// The running host first; Claude Code where it is unknown.
    pub(super) fn hosts(&self) -> [Host; 2] {
        match self.running {
            Some(Host::Codex) => [Host::Codex, Host::Claude],
            _ => [Host::Claude, Host::Codex],
        }
    }

    fn config(&self, host: Host) -> Option<PathBuf> {
        let (variable, folder) = match host {
            Host::Claude => ("CLAUDE_CONFIG_DIR", ".claude"),
            Host::Codex => ("CODEX_HOME", ".codex"),
        };
        self.variable(variable)
            .or_else(|| self.home.as_ref().map(|home| home.join(folder)))
    }

    /// Folders that hold skills: the project's, then the user's.
    pub(super) fn skills(&self, host: Host) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let names: &[&str] = match host {
            Host::Claude => &[".claude/skills"],
            Host::Codex => &[".agents/skills", ".codex/skills"],
        };
        for project in [Some(&self.workspace), self.checkout.as_ref()]
            .into_iter()
            .flatten()
        {
            found.extend(names.iter().map(|name| project.join(name)));
        }
        if host == Host::Codex
            && let Some(home) = &self.home
        {
            found.push(home.join(".agents/skills"));
        }
        found.extend(self.config(host).map(|config| config.join("skills")));
        if host == Host::Codex {
            found.push(PathBuf::from("/etc/codex/skills"));
        }
        found
    }

    /// Folders of installed plugins, the newest version of each first.
    pub(super) fn plugins(&self, host: Host) -> Vec<PathBuf> {
        let Some(plugins) = self.config(host).map(|config| config.join("plugins")) else {
            return Vec::new();
        };
        let mut found = installed(&plugins.join("installed_plugins.json"));
        for marketplace in children(&plugins.join("cache")) {
            for plugin in children(&marketplace) {
                let mut versions = children(&plugin);
                versions.sort_by_key(|path| std::cmp::Reverse(version(path)));
                found.extend(versions);
            }
        }
        for marketplace in children(&plugins.join("marketplaces")) {
            found.extend(children(&marketplace.join("plugins")));
            found.push(marketplace);
        }
        found
    }

    /// Folders that may be checked-out repositories.
    pub(super) fn repositories(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = vec![self.workspace.clone()];
        found.extend(self.checkout.clone());
        let mut parents: Vec<PathBuf> = vec![self.workspace.clone()];
        for inside in [Some(&self.workspace), self.checkout.as_ref()]
            .into_iter()
            .flatten()
        {
            parents.extend(inside.parent().map(Path::to_path_buf));
        }
        parents.extend(self.home.clone());
        for parent in parents {
            found.extend(children(&parent));
        }
        found
    }
}

fn running_host(client: Option<&str>, variables: &BTreeMap<String, PathBuf>) -> Option<Host> {
    if let Some(client) = client {
        let client = client.to_lowercase();
        if client.contains("codex") {
            return Some(Host::Codex);
        }
        if client.contains("claude") {
            return Some(Host::Claude);
        }
    }
    let set = |names: &[&str]| names.iter().any(|name| variables.contains_key(*name));
    if set(&["CLAUDECODE", "CLAUDE_PROJECT_DIR", "CLAUDE_PLUGIN_ROOT"]) {
        return Some(Host::Claude);
    }
    set(&["CODEX_SANDBOX", "CODEX_THREAD_ID"]).then_some(Host::Codex)
}

/// Install paths that Claude Code keeps in one file; a local marketplace is
/// used in place and stands only there.
fn installed(list: &Path) -> Vec<PathBuf> {
    fn collect(value: &Value, found: &mut Vec<PathBuf>) {
        match value {
            Value::Object(map) => {
                if let Some(path) = map.get("installPath").and_then(Value::as_str) {
                    found.push(PathBuf::from(path));
                }
                map.values().for_each(|value| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Some(value) = std::fs::read(list)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
    {
        collect(&value, &mut found);
    }
    found
}

/// Folders in `parent`, by name.
fn children(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .take(MOST)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// The numbers in a version's name, so that 1.16 comes after 1.9.
fn version(path: &Path) -> Vec<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}
