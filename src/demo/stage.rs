//! The place of a play: checkout, knowledge root and plan in one folder.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::DemoError;
use crate::disk;
use crate::git;
use crate::own_binary::own_binary;

macro_rules! shipped {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../references/demo-loop/checkout/", $name)))),*]
    };
}

/// Files of the stand-in's checkout.
const SOURCES: &[(&str, &str)] = shipped![
    "README.md"
    "python/sglang/__init__.py"
    "python/sglang/launch_server.py"
    "python/sglang/srt/__init__.py"
    "python/sglang/srt/layers/__init__.py"
    "python/sglang/srt/layers/decode_step.py"
    "test/test_decode_step.py"
];
const HISTORY: &[(&str, &str)] = &[
    (
        "sglang",
        include_str!("../../references/demo-loop/history/sglang.md"),
    ),
    (
        "vllm",
        include_str!("../../references/demo-loop/history/vllm.md"),
    ),
];
/// Without it Python's caches would be changes to the tree.
const IGNORED: &str = include_str!("../../references/demo-loop/gitignore");
const PLAN: &str = include_str!("../../references/demo-loop/plan.yaml");

/// The file whose numbers are the stand-in's speed.
pub const COSTS: &str = "python/sglang/srt/layers/decode_step.py";

/// One part of a decode step in the stand-in's source.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub part: &'static str,
    pub ms: f64,
}

/// The residual add goes into the norm, as the leader does it.
pub(super) const FUSED: [Cost; 2] = [
    Cost {
        part: "residual_add",
        ms: 0.03,
    },
    Cost {
        part: "rms_norm",
        ms: 0.08,
    },
];

/// A workspace with everything that a campaign needs.
#[derive(Debug, Clone)]
pub struct Stage {
    pub workspace: PathBuf,
    pub checkout: PathBuf,
    pub knowledge: PathBuf,
    pub plan: PathBuf,
}

impl Stage {
    /// Sets everything up in `folder`, which may exist.
    pub fn set_up(folder: &Path) -> Result<Self, DemoError> {
        let python = find("python3")?;
        find("git")?;
        disk::create_dir(folder)?;
        let workspace = folder.canonicalize().map_err(|source| DemoError::Folder {
            path: folder.to_path_buf(),
            source,
        })?;
        let stage = Self {
            checkout: workspace.join("sglang"),
            knowledge: workspace.join("pr-history"),
            plan: workspace.join("plan.yaml"),
            workspace,
        };
        disk::write_atomic(&stage.checkout.join(".gitignore"), IGNORED.as_bytes())?;
        for (name, text) in SOURCES {
            disk::write_atomic(&stage.checkout.join(name), text.as_bytes())?;
        }
        for (framework, text) in HISTORY {
            let card = stage.knowledge.join(framework).join("sim-8b/README.en.md");
            disk::write_atomic(&card, text.as_bytes())?;
        }
        stage.write_plan(&python)?;
        stage.git(&["init", "-q", "-b", "main"])?;
        stage.commit("The sources as they are")?;
        stage.git(&["checkout", "-q", "-b", "faster"])?;
        Ok(stage)
    }

    fn write_plan(&self, python: &Path) -> Result<(), DemoError> {
        let binary = own_binary().map_err(DemoError::Binary)?;
        let quoted = |path: &Path| json!(path).to_string();
        let text = PLAN
            .replace("\"{binary}\"", &quoted(&binary))
            .replace("\"{python3}\"", &quoted(python))
            .replace("\"{checkout}\"", &quoted(&self.checkout))
            .replace(
                "\"{checkout}/python\"",
                &quoted(&self.checkout.join("python")),
            );
        Ok(disk::write_atomic(&self.plan, text.as_bytes())?)
    }

    /// Changes parts of the decode step in the stand-in's source.
    pub fn edit(&self, costs: &[Cost]) -> Result<(), DemoError> {
        let path = self.checkout.join(COSTS);
        let text = disk::read_text(&path)?;
        let edited: Vec<String> = text
            .lines()
            .map(|line| {
                let changed = costs.iter().find(|cost| {
                    line.trim_start()
                        .starts_with(&format!("\"{}\":", cost.part))
                });
                match changed {
                    Some(cost) => format!("    \"{}\": {:.2},", cost.part, cost.ms),
                    None => line.to_owned(),
                }
            })
            .collect();
        Ok(disk::write_atomic(
            &path,
            (edited.join("\n") + "\n").as_bytes(),
        )?)
    }

    /// Commits everything that changed.
    pub fn commit(&self, message: &str) -> Result<(), DemoError> {
        self.git(&["add", "--all", ":!runs"])?;
        self.git(&["commit", "-q", "-m", message]).map(drop)
    }

    /// Runs git in the checkout, as a user of its own.
    pub fn git(&self, arguments: &[&str]) -> Result<String, DemoError> {
        let wrap = |problem: String| DemoError::Git {
            arguments: arguments.iter().map(|part| (*part).to_owned()).collect(),
            problem,
        };
        let output = git::command(&self.checkout)
            .args(["-c", "user.name=demo", "-c", "user.email=demo@localhost"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .output()
            .map_err(|error| wrap(error.to_string()))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(wrap(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ))
        }
    }
}

fn find(program: &str) -> Result<PathBuf, DemoError> {
    which::which(program).map_err(|error| DemoError::Missing {
        program: program.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_a_committed_checkout_whose_costs_can_be_edited() {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::set_up(&dir.path().join("demo")).unwrap();
        assert_eq!(stage.git(&["status", "--porcelain"]).unwrap(), "");
        assert_eq!(stage.git(&["branch", "--show-current"]).unwrap(), "faster");
        stage
            .edit(&[Cost {
                part: "rms_norm",
                ms: 0.05,
            }])
            .unwrap();
        let diff = stage.git(&["diff", "--unified=0"]).unwrap();
        assert!(
            diff.ends_with("-    \"rms_norm\": 0.25,\n+    \"rms_norm\": 0.05,"),
            "{diff}"
        );
        stage.commit("Faster norm").unwrap();
        assert_eq!(stage.git(&["status", "--porcelain"]).unwrap(), "");
        let plan = std::fs::read_to_string(&stage.plan).unwrap();
        assert!(!plan.contains("{checkout}"), "{plan}");
    }
}
