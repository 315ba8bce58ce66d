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
        let status = git(
            checkout,
            &["status", "--porcelain", "-z", "--untracked-files=all"],
        )?;
        let dirty_sha256 = if status.is_empty() {
            None
        } else {
            let mut content = status.clone();
            content.extend(git(checkout, &["diff", "--binary", "HEAD"])?);
            content.extend(untracked(checkout, &status));
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
            Some(dirty) => format!("{}-{}", self.tree, &dirty[..dirty.len().min(12)]),
        }
    }
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

fn git(checkout: &Path, arguments: &[&str]) -> Result<Vec<u8>, SourceError> {
    let wrong = |problem: String| SourceError {
        checkout: checkout.to_path_buf(),
        problem,
    };
    let output = crate::git::command(checkout)
        .args(arguments)
        .output()
        .map_err(|error| wrong(format!("git cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(wrong(
        said.lines().next().unwrap_or("git failed").to_owned(),
    ))
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
