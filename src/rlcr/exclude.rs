//! `.git/info/exclude`: what the loop writes stays out of the user's commits.

use std::path::{Path, PathBuf};

use super::error::RlcrError;
use crate::disk;

/// Appends the patterns that are not there yet. `exclude` is the path that
/// `git rev-parse --git-path info/exclude` gives, so that worktrees work.
/// Returns what was added.
pub fn append(exclude: &Path, patterns: &[String]) -> Result<Vec<String>, RlcrError> {
    let old = match disk::read_text(exclude) {
        Ok(text) => text,
        Err(_) if !exclude.exists() => String::new(),
        Err(error) => return Err(error.into()),
    };
    let missing: Vec<String> = patterns
        .iter()
        .filter(|pattern| !old.lines().any(|line| line.trim() == pattern.as_str()))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let mut text = old;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str("# added by sota-loop\n");
    for pattern in &missing {
        text.push_str(pattern);
        text.push('\n');
    }
    disk::write_atomic(exclude, text.as_bytes())?;
    Ok(missing)
}

/// The loop's own folders, and the runs folder where it lies inside the checkout.
pub fn patterns(checkout: &Path, campaign_root: &Path) -> Vec<String> {
    let mut patterns = vec![".humanize*".to_owned()];
    let runs: PathBuf = campaign_root
        .parent()
        .unwrap_or(campaign_root)
        .to_path_buf();
    if let Ok(inside) = runs.strip_prefix(checkout)
        && !inside.as_os_str().is_empty()
    {
        patterns.push(format!("/{}/", escaped(&inside.to_string_lossy())));
    }
    patterns
}

/// The path as a pattern that matches itself alone.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | ' ') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_once_and_keeps_what_stands_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("info/exclude");
        std::fs::create_dir(dir.path().join("info")).unwrap();
        std::fs::write(&path, "# mine\n*.log").unwrap();
        let root = Path::new("/src/sglang/my runs/20261124_m_sota_humanize");
        let patterns = patterns(Path::new("/src/sglang"), root);
        assert_eq!(append(&path, &patterns).unwrap(), patterns);
        assert!(append(&path, &patterns).unwrap().is_empty());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "# mine\n*.log\n# added by sota-loop\n.humanize*\n/my\\ runs/\n"
        );
    }

    #[test]
    fn runs_outside_the_checkout_need_no_pattern() {
        let root = Path::new("/home/me/project/runs/20261124_m_sota_humanize");
        assert_eq!(patterns(Path::new("/src/sglang"), root), [".humanize*"]);
    }
}
