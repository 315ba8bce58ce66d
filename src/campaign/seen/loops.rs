//! Loops that are active in a checkout, from their `state.md`.

use std::path::{Path, PathBuf};

use crate::campaign::gates::ActiveLoop;

/// Longest `state.md` that is read.
const LONGEST: u64 = 256 << 10;

/// Folders of `.humanize/rlcr/` with a `state.md`, by name.
pub fn active_loops(checkout: &Path) -> Vec<ActiveLoop> {
    let Ok(entries) = std::fs::read_dir(checkout.join(".humanize/rlcr")) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| read(folder)).collect()
}

fn read(folder: &Path) -> Option<ActiveLoop> {
    let state_path = folder.join("state.md");
    let meta = std::fs::metadata(&state_path).ok()?;
    if !meta.is_file() {
        return None;
    }
    let text = if meta.len() > LONGEST {
        String::new()
    } else {
        std::fs::read_to_string(&state_path).unwrap_or_default()
    };
    Some(ActiveLoop {
        current_round: value(&text, "current_round").and_then(|round| round.parse().ok()),
        ask_codex_question: value(&text, "ask_codex_question").and_then(flag),
        strict_success: value(&text, "strict_success").and_then(flag),
        has_prompt: folder.join("round-0-prompt.md").is_file(),
        state_path,
    })
}

/// The value of a plain key of the front matter.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let matter = text.strip_prefix("---")?;
    let end = matter.find("\n---").unwrap_or(matter.len());
    matter.get(..end)?.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?.trim_start().strip_prefix(':')?;
        Some(rest.trim().trim_matches(['"', '\'']))
    })
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_with_a_state_are_active_and_its_front_matter_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let rlcr = dir.path().join(".humanize/rlcr");
        let active = rlcr.join("2026-11-24_10-00-00");
        std::fs::create_dir_all(&active).unwrap();
        std::fs::create_dir_all(rlcr.join("2026-11-23_10-00-00")).unwrap();
        std::fs::write(
            active.join("state.md"),
            "---\ncurrent_round: 3\nask_codex_question: false\nstrict_success: \"true\"\n---\nmax: 1\n",
        )
        .unwrap();
        std::fs::write(active.join("round-0-prompt.md"), "go").unwrap();
        let loops = active_loops(dir.path());
        assert_eq!(
            loops,
            [ActiveLoop {
                state_path: active.join("state.md"),
                current_round: Some(3),
                ask_codex_question: Some(false),
                strict_success: Some(true),
                has_prompt: true,
            }]
        );
    }
}
