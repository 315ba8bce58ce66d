//! Companions: tools that a campaign uses when they are installed, and the rule
//! by which each was found.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::RlcrError;
use super::folders::{Folders, Host};

/// By which rule a companion was found, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Named in the call.
    Argument,
    /// Named by its environment variable.
    Environment,
    /// A skill folder of Claude Code.
    ClaudeSkill,
    /// A plugin of Claude Code.
    ClaudePlugin,
    /// A skill folder of Codex.
    CodexSkill,
    /// A plugin of Codex.
    CodexPlugin,
    /// A repository checked out in or beside the workspace or the checkout, or
    /// in the home folder.
    Repository,
}

/// An installed companion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Companion {
    pub path: PathBuf,
    pub found_by: FoundBy,
}

/// What is installed beside this program; absent where nothing was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Companions {
    /// The Humanize runtime, by its folder with `scripts/setup-rlcr-loop.sh`.
    pub humanize: Option<Companion>,
    /// The skill that explains Nsight Compute reports.
    pub ncu_report_skill: Option<Companion>,
    /// A knowledge folder of pull requests.
    pub history: Option<Companion>,
}

/// Folders of companions, which go before every search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompanionPaths {
    /// Absolute folder of a Humanize runtime (it has `scripts/setup-rlcr-loop.sh`).
    pub humanize: Option<PathBuf>,
    /// Absolute folder of an Nsight Compute report skill (it has `SKILL.md`).
    pub ncu_report_skill: Option<PathBuf>,
    /// Absolute folder of a history knowledge base.
    pub history: Option<PathBuf>,
}

/// How one companion is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    name: String,
    env: String,
    folders: Vec<String>,
    /// A file inside; empty where the folder itself is enough.
    proof: String,
    anywhere: bool,
}

#[derive(Debug, Deserialize)]
struct Catalogue {
    companion: Vec<Kind>,
}

static CATALOGUE: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let text = include_str!("../../references/companions.toml");
    toml::from_str::<Catalogue>(text)
        .map(|catalogue| catalogue.companion)
        .unwrap_or_default()
});

/// Looks for every companion. One that an argument or a variable names and that
/// is not there is a problem, and is not looked for elsewhere.
pub fn companions(named: &CompanionPaths, folders: &Folders) -> (Companions, Vec<RlcrError>) {
    let mut problems = Vec::new();
    let mut find = |name: &str, path: &Option<PathBuf>| {
        let kind = CATALOGUE.iter().find(|kind| kind.name == name)?;
        kind.find(path.as_deref(), folders)
            .unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
    };
    let found = Companions {
        humanize: find("humanize", &named.humanize),
        ncu_report_skill: find("ncu_report_skill", &named.ncu_report_skill),
        history: find("history", &named.history),
    };
    (found, problems)
}

impl Kind {
    fn find(
        &self,
        argument: Option<&Path>,
        folders: &Folders,
    ) -> Result<Option<Companion>, RlcrError> {
        if let Some(path) = argument {
            return self
                .named(path, FoundBy::Argument, "the argument")
                .map(Some);
        }
        if let Some(path) = folders.variable(&self.env) {
            return self.named(&path, FoundBy::Environment, &self.env).map(Some);
        }
        for host in folders.hosts() {
            let (skill, plugin) = match host {
                Host::Claude => (FoundBy::ClaudeSkill, FoundBy::ClaudePlugin),
                Host::Codex => (FoundBy::CodexSkill, FoundBy::CodexPlugin),
            };
            let skills = folders.skills(host);
            if let Some(path) = self.under(&skills) {
                return Ok(Some(Companion {
                    path,
                    found_by: skill,
                }));
            }
            if let Some(path) = self.in_plugins(&folders.plugins(host)) {
                return Ok(Some(Companion {
                    path,
                    found_by: plugin,
                }));
            }
        }
        let found = folders.repositories().into_iter().find(|repository| {
            (self.anywhere || self.has_name(repository)) && self.proves(repository)
        });
        Ok(found.map(|path| Companion {
            path,
            found_by: FoundBy::Repository,
        }))
    }

    fn named(&self, path: &Path, found_by: FoundBy, by: &str) -> Result<Companion, RlcrError> {
        // Several folders may be named, as in a PATH.
        let first = std::env::split_paths(path).find(|path| self.proves(path));
        match first {
            Some(path) => Ok(Companion { path, found_by }),
            None => Err(RlcrError::NoCompanion {
                name: self.name.clone(),
                path: path.to_path_buf(),
                by: by.to_owned(),
                proof: self.proof.clone(),
            }),
        }
    }

    /// A folder of the right name in one of `parents`.
    fn under(&self, parents: &[PathBuf]) -> Option<PathBuf> {
        parents
            .iter()
            .flat_map(|parent| self.folders.iter().map(move |name| parent.join(name)))
            .find(|path| self.proves(path))
    }

    /// A plugin that is the companion, or brings it as a skill.
    fn in_plugins(&self, plugins: &[PathBuf]) -> Option<PathBuf> {
        plugins.iter().find_map(|plugin| {
            if self.anywhere && self.proves(plugin) {
                return Some(plugin.clone());
            }
            self.under(&[plugin.join("skills"), plugin.join("skill")])
        })
    }

    fn has_name(&self, path: &Path) -> bool {
        path.file_name()
            .is_some_and(|name| self.folders.iter().any(|folder| name == folder.as_str()))
    }

    fn proves(&self, path: &Path) -> bool {
        if self.proof.is_empty() {
            path.is_dir()
        } else {
            path.join(&self.proof).is_file()
        }
    }
}

#[cfg(test)]
#[path = "companion_tests.rs"]
mod tests;
