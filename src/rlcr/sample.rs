//! A campaign inside its loop on a real checkout, for this room's tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::builtin;
use super::plan::PLAN_FILE;
use crate::campaign::events::{Body, LoopRuntime, LoopStarted, RoundEnded};
use crate::campaign::{self, Campaign, HardwareRequest, NewEvent, OpenRequest};
use crate::disk;

pub struct Sample {
    pub dir: tempfile::TempDir,
    pub campaign: Campaign,
}

impl Sample {
    /// A campaign that was opened on a checkout with one commit.
    pub fn opened() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = dir.path().join("workspace");
        let checkout = dir.path().join("sglang");
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::create_dir_all(&checkout).unwrap();
        std::fs::write(checkout.join("engine.py"), "pass\n").unwrap();
        git(&checkout, &["init", "-q", "-b", "main"]);
        git(&checkout, &["config", "user.name", "n"]);
        git(&checkout, &["config", "user.email", "e@x"]);
        git(&checkout, &["add", "."]);
        git(&checkout, &["commit", "-qm", "first"]);
        let request = OpenRequest {
            model: Some("sim-8b".to_owned()),
            precision: Some("bf16".to_owned()),
            hardware: Some(HardwareRequest {
                gpu_model: Some("none".to_owned()),
                gpu_ids: Vec::new(),
            }),
            checkout: Some(checkout),
            ..OpenRequest::default()
        };
        let campaign = campaign::open(&workspace, request).unwrap().campaign;
        Self { dir, campaign }
    }

    /// The same, with a built-in loop that has begun.
    pub fn in_loop() -> Self {
        let sample = Self::opened();
        sample.begin_builtin();
        sample
    }

    pub fn checkout(&self) -> PathBuf {
        self.dir.path().join("sglang")
    }

    /// A folder for conversations.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn begin_builtin(&self) -> PathBuf {
        disk::write_atomic(&self.checkout().join(PLAN_FILE), b"# Plan\n").unwrap();
        let up = builtin::set_up(builtin::Setup {
            checkout: &self.checkout(),
            campaign: &self.campaign.id,
            start_branch: "main",
            base_branch: "main",
            base_commit: "0",
            prompt: "go",
        });
        let up = up.unwrap();
        self.began(LoopRuntime::Builtin, up.state_path.clone(), up.prompt_path);
        up.state_path
    }

    /// A loop of Humanize's, of which only the state file is there.
    pub fn begin_humanize(&self) -> PathBuf {
        let folder = self.checkout().join(".humanize/rlcr/2026-11-24_10-00-00");
        let state = folder.join("state.md");
        disk::write_atomic(&state, b"---\ncurrent_round: 0\n---\n").unwrap();
        self.began(
            LoopRuntime::Humanize,
            state.clone(),
            folder.join("round-0-prompt.md"),
        );
        state
    }

    fn began(&self, runtime: LoopRuntime, state_path: PathBuf, prompt_path: PathBuf) {
        self.note(&LoopStarted {
            runtime,
            plan_path: self.checkout().join(PLAN_FILE),
            state_path,
            prompt_path,
            setup: None,
            base_branch: "main".to_owned(),
            start_branch: "main".to_owned(),
            base_commit: "0".to_owned(),
            strict_success: true,
        });
    }

    pub fn note<B: Body>(&self, body: &B) {
        campaign::note(&self.campaign, NewEvent::of(body)).unwrap();
    }

    pub fn end_round(&self, summary: &str) {
        self.note(&RoundEnded {
            summary: summary.to_owned(),
            next_patch: Some("fuse the rope".to_owned()),
            accepted: Vec::new(),
            improvement_pct: None,
            gap_pct: None,
        });
    }
}

pub fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .status();
    assert!(status.unwrap().success(), "git {arguments:?}");
}
