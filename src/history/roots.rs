//! Where histories are: the places that are looked at, and what stands there.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::record::Finding;

/// Folder name of a knowledge base beside a checkout or inside a repository.
const BESIDE: &str = "model-pr-optimization-history";
const SKILL: &str = "skills/model-pr-history-knowledge";
/// Most families that one framework's folder is read for.
const FAMILIES: usize = 2000;

/// The places of this user and process, apart from what a request names.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub home: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub codex_home: Option<PathBuf>,
    /// `SOTA_HISTORY_ROOT`, split at `:`.
    pub history_root: Vec<PathBuf>,
    /// Folder of the indexes.
    pub index_dir: Option<PathBuf>,
    pub current_dir: PathBuf,
}

impl Places {
    /// As the environment says.
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = var("HOME").map(PathBuf::from);
        let cache = var("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| home.as_ref().map(|home| home.join(".cache")));
        Self {
            codex_home: var("CODEX_HOME").map(PathBuf::from),
            history_root: var("SOTA_HISTORY_ROOT")
                .map(|value| std::env::split_paths(&value).collect())
                .unwrap_or_default(),
            index_dir: cache.map(|cache| cache.join("sota-loop/history")),
            current_dir: std::env::current_dir().unwrap_or_default(),
            home,
        }
    }
}

/// What stands at a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Knowledge,
    Git,
}

/// A root to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Without links.
    pub path: PathBuf,
    pub kind: Kind,
    pub found_by: &'static str,
}

/// The outcome of looking.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub roots: Vec<Root>,
    pub looked: Vec<PathBuf>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<String>,
}

/// Looks at the named roots, the checkout, and the known places, in this order.
pub fn find(places: &Places, named: &[PathBuf], checkout: Option<&Path>) -> Found {
    let mut found = Found::default();
    for path in named {
        found.look(path, "argument", true);
    }
    for path in &places.history_root {
        found.look(path, "SOTA_HISTORY_ROOT", true);
    }
    if let Some(home) = &places.home {
        found.look(&home.join(".claude").join(SKILL), "claude_skill", false);
    }
    let codex = places
        .codex_home
        .clone()
        .or_else(|| places.home.as_ref().map(|home| home.join(".codex")));
    if let Some(codex) = codex {
        found.look(&codex.join(SKILL), "codex_skill", false);
    }
    let base = checkout.unwrap_or(&places.current_dir);
    if let Some(parent) = base.parent() {
        found.look(&parent.join(BESIDE), "beside_checkout", false);
    }
    if let Some(checkout) = checkout {
        found.look(checkout, "checkout", true);
    }
    found
}

impl Found {
    fn look(&mut self, path: &Path, found_by: &'static str, wanted: bool) {
        self.looked.push(path.to_path_buf());
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if wanted {
                    self.warnings
                        .push(format!("{} does not exist", path.display()));
                }
                return;
            }
            Err(error) => {
                self.unreadable(path, &error.to_string());
                return;
            }
        };
        if let Err(error) = fs::read_dir(&real) {
            self.unreadable(path, &error.to_string());
            return;
        }
        let inner = real.join(BESIDE);
        let is_git = real.join(".git").exists();
        let kinds = [
            (real.clone(), Kind::Knowledge, has_families(&real)),
            (inner.clone(), Kind::Knowledge, has_families(&inner)),
            (real.clone(), Kind::Git, is_git),
        ];
        let mut any = false;
        for (path, kind, stands) in kinds {
            any |= stands;
            let known = self
                .roots
                .iter()
                .any(|root| root.path == path && root.kind == kind);
            // A repository of cards is no framework's checkout.
            let cards =
                kind == Kind::Git && self.roots.iter().any(|root| root.path.starts_with(&path));
            if stands && !known && !cards {
                self.roots.push(Root {
                    path,
                    kind,
                    found_by,
                });
            }
        }
        if !any && wanted {
            self.warnings.push(format!(
                "{} is neither a knowledge folder (<framework>/<family>/README.en.md) nor a git checkout",
                path.display()
            ));
        }
    }

    fn unreadable(&mut self, path: &Path, reason: &str) {
        self.findings.push(Finding::Unreadable {
            path: path.to_path_buf(),
            reason: reason.to_owned(),
        });
    }
}

/// A Markdown file of a knowledge root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub path: PathBuf,
    /// Path inside the root.
    pub relative: String,
    pub framework: String,
    pub family: String,
}

/// Lists a knowledge root's files: `<framework>/<family>/*.md`, and
/// `<family>/README.*.md` without a framework. Links are followed, a folder is
/// read once.
pub fn documents(root: &Path, findings: &mut Vec<Finding>) -> Vec<Document> {
    let mut listing = Listing {
        root,
        findings,
        seen: fs::metadata(root).iter().map(identity).collect(),
        documents: Vec::new(),
    };
    for framework in listing.folders(root) {
        let families = listing.folders(&framework);
        let name = file_name(&framework);
        if families.is_empty() {
            listing.family(&framework, "unspecified", &name, true);
        }
        for family in families.into_iter().take(FAMILIES) {
            listing.family(&family, &name, &file_name(&family), false);
        }
    }
    listing
        .documents
        .sort_by(|a, b| a.relative.cmp(&b.relative));
    listing.documents
}

struct Listing<'a> {
    root: &'a Path,
    findings: &'a mut Vec<Finding>,
    /// Device and number of the folders that have been entered.
    seen: HashSet<(u64, u64)>,
    documents: Vec<Document>,
}

impl Listing<'_> {
    fn folders(&mut self, path: &Path) -> Vec<PathBuf> {
        let mut folders = self.entries(path);
        folders.sort();
        folders.retain(|entry| {
            if file_name(entry).starts_with('.') {
                return false;
            }
            match fs::metadata(entry) {
                Ok(meta) => meta.is_dir() && self.seen.insert(identity(&meta)),
                Err(error) => {
                    self.unreadable(entry, &error);
                    false
                }
            }
        });
        folders
    }

    fn family(&mut self, folder: &Path, framework: &str, family: &str, readme_only: bool) {
        for path in self.entries(folder) {
            let name = file_name(&path);
            let wanted = name.ends_with(".md") && (!readme_only || name.starts_with("README."));
            let relative = path.strip_prefix(self.root).unwrap_or(&path);
            if wanted && name != "SKILL.md" {
                self.documents.push(Document {
                    relative: relative.to_string_lossy().into_owned(),
                    framework: framework.to_owned(),
                    family: family.to_owned(),
                    path,
                });
            }
        }
    }

    fn entries(&mut self, path: &Path) -> Vec<PathBuf> {
        match fs::read_dir(path) {
            Ok(entries) => entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect(),
            Err(error) => {
                self.unreadable(path, &error);
                Vec::new()
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.findings.push(Finding::Unreadable {
            path: path.to_path_buf(),
            reason: error.to_string(),
        });
    }
}

fn identity(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Whether some `<a>/<b>/README*.md` or `<a>/README.en.md` stands under `root`.
fn has_families(root: &Path) -> bool {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| path.is_dir() && !file_name(path).starts_with('.'))
            .take(FAMILIES)
            .collect()
    };
    let has_readme = |path: &PathBuf| {
        ["README.en.md", "README.zh.md"]
            .iter()
            .any(|name| path.join(name).exists())
    };
    let first = folders(root);
    first.iter().any(has_readme)
        || first
            .iter()
            .take(100)
            .any(|path| folders(path).iter().any(has_readme))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
