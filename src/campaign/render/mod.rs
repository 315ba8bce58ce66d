//! Markdown from the log. Every file here can be deleted and rendered again;
//! edits by hand are overwritten with a warning.

mod attempts;
mod checkpoint;
mod ideas;
mod layers;
mod manifest;
mod markdown;
mod root_cause;
mod winners;

pub(super) use markdown::{Table, plain};
pub(super) use winners::{benchmark_table, best_rows, commands};

use std::path::PathBuf;

use super::{Campaign, CampaignError, State};
use crate::{disk, sha256};

/// What was rendered, and what was noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    pub paths: Vec<PathBuf>,
    pub warnings: Vec<String>,
}

type Render = fn(&Campaign, &State) -> String;

/// The files by their place under the campaign's folder.
const FILES: [(&str, Render); 7] = [
    ("manifest.md", manifest::render),
    ("analysis/root-cause.md", root_cause::render),
    ("analysis/layer-pipeline.md", layers::render),
    ("humanize/attempt-ledger.md", attempts::attempts),
    ("humanize/optimization-ledger.md", attempts::optimizations),
    ("humanize/source-idea-ledger.md", ideas::render),
    ("humanize/model-loop-checkpoint.md", checkpoint::render),
];

/// Renders every file that is not as the log would have it.
pub fn all(campaign: &Campaign, state: &State) -> Result<Rendered, CampaignError> {
    let mut rendered = Rendered::default();
    for (name, render) in FILES {
        let path = campaign.root.join(name);
        let text = render(campaign, state);
        let text = signed(text.trim_end());
        let before = std::fs::read_to_string(&path).ok();
        if before.as_deref() == Some(&text) {
            rendered.paths.push(path);
            continue;
        }
        if before.is_some_and(|before| is_edited(&before)) {
            rendered.warnings.push(format!(
                "{} was edited by hand; it is rendered from the log, and the edit was overwritten: use update_ledger",
                path.display()
            ));
        }
        disk::write_atomic(&path, text.as_bytes())?;
        rendered.paths.push(path);
    }
    Ok(rendered)
}

/// Begins the last line of a rendered file; the hash of all before it follows.
const SIGNATURE: &str = "<!-- rendered from humanize/lineage.jsonl; edits are overwritten; sha256 ";

fn signed(text: &str) -> String {
    let hash = sha256::hex(text.as_bytes());
    format!("{text}\n\n{SIGNATURE}{hash} -->\n")
}

/// Whether a file is no longer what was rendered.
fn is_edited(text: &str) -> bool {
    let Some(at) = text.rfind(SIGNATURE) else {
        return true;
    };
    let (content, signature) = text.split_at(at);
    let recorded = signature
        .strip_prefix(SIGNATURE)
        .and_then(|rest| rest.strip_suffix(" -->\n"));
    recorded != Some(sha256::hex(content.trim_end().as_bytes()).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{OpenRequest, open};

    fn campaign() -> (tempfile::TempDir, Campaign) {
        let dir = tempfile::tempdir().unwrap();
        let request = OpenRequest {
            hardware: crate::campaign::sample::inputs().hardware,
            ..crate::campaign::sample::inputs()
        };
        let campaign = open(dir.path(), request).unwrap().campaign;
        (dir, campaign)
    }

    fn again(campaign: &Campaign) -> Rendered {
        all(campaign, &campaign.state().unwrap()).unwrap()
    }

    #[test]
    fn deleted_files_come_back_and_edits_are_overwritten_with_a_warning() {
        let (_dir, campaign) = campaign();
        assert_eq!(again(&campaign).warnings, Vec::<String>::new());
        let manifest = campaign.root.join("manifest.md");
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("Qwen/Qwen3-8B"), "{text}");
        std::fs::remove_file(&manifest).unwrap();
        let checkpoint = campaign.root.join("humanize/model-loop-checkpoint.md");
        let edited = std::fs::read_to_string(&checkpoint)
            .unwrap()
            .replace("sglang", "mine");
        std::fs::write(&checkpoint, edited).unwrap();
        let rendered = again(&campaign);
        assert_eq!(std::fs::read_to_string(&manifest).unwrap(), text);
        assert_eq!(rendered.warnings.len(), 1, "{rendered:?}");
        assert!(rendered.warnings[0].contains("model-loop-checkpoint.md was edited"));
        assert!(
            !std::fs::read_to_string(&checkpoint)
                .unwrap()
                .contains("mine")
        );
    }

    /// Every file of a campaign in its first round with one attempt of each end.
    #[test]
    fn the_files_of_a_campaign() {
        let campaign = Campaign::at(std::path::Path::new("/c/20261124_qwen3-8b_sota_humanize"));
        let (state, _) = crate::campaign::sample::tried();
        let text: Vec<String> = FILES
            .iter()
            .map(|(name, render)| format!("=== {name}\n{}", render(&campaign, &state)))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }
}
