//! The target's git checkout as it is now, read with git itself.

use std::path::{Path, PathBuf};

use crate::git;

/// What is known of the checkout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Checkout {
    /// The campaign names none.
    #[default]
    None,
    /// It cannot be read, and why.
    Unreadable {
        path: PathBuf,
        reason: String,
    },
    Read(Head),
}

/// HEAD and the working tree of a checkout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Top folder.
    pub path: PathBuf,
    pub commit: String,
    /// Hash of HEAD's tree.
    pub tree: String,
    /// None when HEAD is detached.
    pub branch: Option<String>,
    pub branches: Vec<String>,
    /// Uncommitted and untracked paths, and those that are hidden from git;
    /// ignored ones, `.humanize*` and the campaign root left out.
    pub dirty: Vec<String>,
    /// Paths under `.humanize*` that git tracks.
    pub tracked_humanize: Vec<String>,
}

impl Checkout {
    /// Reads the checkout; `root` is the campaign's folder, which may lie inside.
    pub fn read(path: Option<&Path>, root: &Path) -> Self {
        let Some(path) = path else { return Self::None };
        match Head::read(path, root) {
            Ok(head) => Self::Read(head),
            Err(reason) => Self::Unreadable {
                path: path.to_path_buf(),
                reason,
            },
        }
    }

    pub fn head(&self) -> Option<&Head> {
        match self {
            Self::Read(head) => Some(head),
            _ => None,
        }
    }

    /// HEAD's tree where nothing is uncommitted: what "present" means.
    pub fn present_tree(&self) -> Option<&str> {
        self.head()
            .filter(|head| head.dirty.is_empty())
            .map(|head| head.tree.as_str())
    }

    pub fn commit(&self) -> Option<String> {
        self.head().map(|head| head.commit.clone())
    }

    pub fn tree(&self) -> Option<String> {
        self.head().map(|head| head.tree.clone())
    }
}

impl Head {
    fn read(path: &Path, root: &Path) -> Result<Self, String> {
        let git = Git::at(path);
        let top = git::top(path)?;
        let heads = git
            .line(&["rev-parse", "HEAD", "HEAD^{tree}"])
            .map_err(|error| format!("it has no commit: {error}"))?;
        let (commit, tree) = heads
            .split_once('\n')
            .ok_or_else(|| format!("git rev-parse said `{heads}`"))?;
        let within = root
            .canonicalize()
            .ok()
            .and_then(|root| Some(root.strip_prefix(&top).ok()?.to_path_buf()));
        Ok(Self {
            commit: commit.to_owned(),
            tree: tree.to_owned(),
            branch: git
                .line(&["symbolic-ref", "--quiet", "--short", "HEAD"])
                .ok(),
            branches: git
                .lines(&["for-each-ref", "--format=%(refname:short)", "refs/heads"])
                .unwrap_or_default(),
            dirty: dirty(git, &top, within.as_deref())?,
            tracked_humanize: git.zero_ended(&["ls-files", "-z", "--", ".humanize*"])?,
            path: top,
        })
    }
}

/// Paths that differ from HEAD, and those of which git is not to say so.
fn dirty(git: Git<'_>, top: &Path, root: Option<&Path>) -> Result<Vec<String>, String> {
    let changed = git.zero_ended(&git::STATUS)?;
    let mut dirty: Vec<String> = changed
        .into_iter()
        .filter(|path| !is_ours(path, root))
        .collect();
    for (path, reason) in git::hidden(top)? {
        if !is_ours(&path, root) && !dirty.contains(&path) {
            dirty.push(format!("{path} ({reason})"));
        }
    }
    Ok(dirty)
}

/// Whether a changed path is the loop's or the campaign's own.
fn is_ours(path: &str, root: Option<&Path>) -> bool {
    let path = Path::new(path);
    let first = path.components().next();
    let humanize =
        first.is_some_and(|part| part.as_os_str().to_string_lossy().starts_with(".humanize"));
    humanize || root.is_some_and(|root| !root.as_os_str().is_empty() && path.starts_with(root))
}

/// Runs git on a checkout: argument arrays, no network, no prompts.
#[derive(Debug, Clone, Copy)]
pub struct Git<'a> {
    checkout: &'a Path,
}

impl<'a> Git<'a> {
    pub fn at(checkout: &'a Path) -> Self {
        Self { checkout }
    }

    /// What a command prints.
    pub fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        git::output(self.checkout, arguments)
    }

    /// The same, trimmed.
    pub fn line(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.output(arguments)?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    pub fn lines(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let text = self.line(arguments)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Entries that end with a zero byte. Of `git status` only the paths: the
    /// two letters before them, and the old names of renamed files, go.
    fn zero_ended(&self, arguments: &[&str]) -> Result<Vec<String>, String> {
        let output = self.output(arguments)?;
        let text = String::from_utf8_lossy(&output);
        let mut entries = text.split('\0').filter(|entry| !entry.is_empty());
        if arguments.first() != Some(&"status") {
            return Ok(entries.map(str::to_owned).collect());
        }
        let mut paths = Vec::new();
        while let Some(entry) = entries.next() {
            let (letters, path) = entry.split_at_checked(3).unwrap_or(("", entry));
            if letters.starts_with(['R', 'C']) {
                entries.next();
            }
            paths.push(path.to_owned());
        }
        Ok(paths)
    }
}
