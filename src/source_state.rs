//! What stands in a checkout: commit, tree, and what differs from them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultCode};
use crate::sha256;

/// A checkout's state at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub commit: String,
    /// Tree object of HEAD.
    pub tree: String,
    /// SHA-256 of what differs from HEAD; none: nothing does.
    pub dirty_sha256: Option<String>,
}

/// A checkout that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the checkout {}: {problem}", checkout.display())]
pub struct SourceError {
    pub checkout: PathBuf,
    pub problem: String,
}

impl SourceState {
    /// Asks git; nothing in the checkout is written.
    pub fn of(checkout: &Path) -> Result<Self, SourceError> {
        let heads = git(checkout, &["rev-parse", "HEAD", "HEAD^{tree}"])?;
        let heads = String::from_utf8_lossy(&heads).into_owned();
        let mut heads = heads.lines().map(str::to_owned);
        let (Some(commit), Some(tree)) = (heads.next(), heads.next()) else {
            return Err(SourceError {
                checkout: checkout.to_path_buf(),
                problem: "git names no HEAD".to_owned(),
            });
        };
        let status = git(checkout, &crate::git::STATUS)?;
        let unseen = unseen(checkout)?;
        let dirty_sha256 = if status.is_empty() && unseen.is_empty() {
            None
        } else {
            let mut content = status.clone();
            content.extend(git(
                checkout,
                &[&crate::git::PATCH[..], &["HEAD"]].concat(),
            )?);
            content.extend(untracked(checkout, &status));
            content.extend(unseen.into_bytes());
            Some(sha256::hex(&content))
        };
        Ok(Self {
            commit,
            tree,
            dirty_sha256,
        })
    }

    /// One name for the sources as they are, committed or not.
    pub fn key(&self) -> String {
        match &self.dirty_sha256 {
            None => self.tree.clone(),
            Some(dirty) => format!("{}-{}", self.tree, shortened(dirty)),
        }
    }

    /// The same with both hashes short, for names of folders.
    pub fn short_key(&self) -> String {
        let tree = shortened(&self.tree);
        match &self.dirty_sha256 {
            None => tree.to_owned(),
            Some(dirty) => format!("{tree}-{}", shortened(dirty)),
        }
    }
}

fn shortened(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Sizes and times of untracked files: git tells only their names.
fn untracked(checkout: &Path, status: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(status);
    text.split('\0')
        .filter_map(|entry| entry.strip_prefix("?? "))
        .filter_map(|name| {
            let data = std::fs::metadata(checkout.join(name)).ok()?;
            Some(format!(
                "{name} {} {:?}\n",
                data.len(),
                data.modified().ok()
            ))
        })
        .collect::<String>()
        .into_bytes()
}

/// What differs from HEAD although git does not say so, with its content.
fn unseen(checkout: &Path) -> Result<String, SourceError> {
    let wrong = |problem| SourceError {
        checkout: checkout.to_path_buf(),
        problem,
    };
    let top = crate::git::top(checkout).map_err(wrong)?;
    let hidden = crate::git::hidden(&top).map_err(wrong)?;
    let paths = hidden.into_iter().map(|(path, _)| path);
    let differing = crate::git::differing(&top).map_err(wrong)?;
    Ok(paths
        .chain(differing)
        .map(|path| {
            let content = sha256::of_file(&top.join(&path), None);
            let hash = content.map(|(hash, _)| hash).unwrap_or_default();
            format!("{path} {hash}\n")
        })
        .collect())
}

fn git(checkout: &Path, arguments: &[&str]) -> Result<Vec<u8>, SourceError> {
    crate::git::output(checkout, arguments).map_err(|problem| SourceError {
        checkout: checkout.to_path_buf(),
        problem: problem.lines().next().unwrap_or("git failed").to_owned(),
    })
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self::new(
            FaultCode::InvalidPlan,
            error.to_string(),
            "name the top folder of a git working tree with a commit in source.checkout",
        )
    }
}
