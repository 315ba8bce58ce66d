//! The first play: 6% behind, one patch, tied; with every refusal on the way.

use serde_json::{Value, json};

use super::DemoError;
use super::play::{Agent, Play};
use super::stage::FUSED;
use super::steps::{Evidence, attempt, root_cause};
use crate::disk;

impl<A: Agent> Play<'_, A> {
    /// Plays a campaign from its opening to `tied`.
    pub async fn to_tied(&mut self) -> Result<Value, DemoError> {
        self.chapter("A campaign begins");
        self.refused(
            "needs_input",
            "precision",
            "campaign",
            json!({"action": "open", "model": "sim-8b"}),
        )
        .await?;
        self.open().await?;
        let plan = json!({"plan": self.stage.plan, "label": "baseline"});
        self.refused("history", "history", "run_benchmark", plan)
            .await?;
        self.history().await?;
        let start = json!({"action": "start_loop", "runtime": "builtin"});
        self.refused("baseline", "baseline", "campaign", start.clone())
            .await?;

        self.chapter("Who is fastest, and by how much");
        let gap = self.baseline().await?;
        self.before_the_loop(&start).await?;
        self.start_loop().await?;
        self.sealed().await?;

        self.chapter("Where the time goes");
        let evidence = self.gather(&gap).await?;

        self.chapter("One patch");
        let id = self.patch_and_prove(&evidence).await?;
        self.chapter("The end");
        self.close(&id).await?;
        self.round_end(
            "The residual add is fused into the norm; the gap is closed.",
            "",
        )
        .await?;
        self.refused(
            "strict_success",
            "ahead",
            "campaign",
            json!({"action": "finish", "outcome": "success", "reason": "faster"}),
        )
        .await?;
        self.finish("tied", "no scenario is more than 1% behind the leader", &[])
            .await
    }

    /// What the preflight and the start gate refuse.
    async fn before_the_loop(&mut self, start: &Value) -> Result<(), DemoError> {
        let round_end = json!({"kind": "round_end", "summary": "nothing was done"});
        self.refused("started", "rlcr_not_started", "update_ledger", round_end)
            .await?;
        let stray = self.stage.checkout.join("scratch.txt");
        disk::write_atomic(&stray, b"left over\n")?;
        self.did("a stray file lies in the checkout");
        self.refused("preflight", "scratch.txt", "campaign", start.clone())
            .await?;
        remove(&stray)
    }

    /// What the seal and the second loop refuse.
    async fn sealed(&mut self) -> Result<(), DemoError> {
        let text = disk::read_text(&self.stage.plan)?;
        let easier = self.stage.workspace.join("easier.yaml");
        disk::write_atomic(
            &easier,
            text.replace("output_len: [256]", "output_len: [16]")
                .as_bytes(),
        )?;
        let plan = json!({"plan": easier, "label": "baseline"});
        self.refused("seal", "workload_changed", "run_benchmark", plan)
            .await?;
        let second = self
            .stage
            .checkout
            .join(".humanize/rlcr/2000-01-01_00-00-00/state.md");
        disk::write_atomic(&second, b"---\ncurrent_round: 0\n---\n")?;
        self.did("a second loop is set up by hand");
        let round_end = json!({"kind": "round_end", "summary": "nothing was done"});
        self.refused("started", "second_loop", "update_ledger", round_end)
            .await?;
        remove(&second)
    }

    /// The evidence of the round, and what is refused for want of it.
    async fn gather(&mut self, gap: &Value) -> Result<Evidence, DemoError> {
        let early = Evidence::of_gap(gap)?;
        let mut guess = attempt(&early, "guess");
        guess["cites"] = json!([early.cited_cause()]);
        self.refused("evidence", "three-table report", "update_ledger", guess)
            .await?;
        self.refused(
            "strict_success",
            "revalidation",
            "campaign",
            json!({"action": "finish", "outcome": "tied", "reason": "close enough"}),
        )
        .await?;
        let gap = self.call("check_gap", json!({})).await?;
        let evidence = self.evidence(&gap).await?;
        let mut made_up = root_cause(&evidence);
        made_up["rows"][1]["row"] = json!("a_kernel_that_is_not_there");
        self.refused(
            "invalid_argument",
            "a_kernel_that_is_not_there",
            "update_ledger",
            made_up,
        )
        .await?;
        let mut nowhere = root_cause(&evidence);
        nowhere["source_paths"] = json!([{"path": "python/sglang/srt/nowhere.py"}]);
        self.refused("invalid_argument", "nowhere.py", "update_ledger", nowhere)
            .await?;
        self.root_cause(&evidence).await?;
        Ok(evidence)
    }

    /// Opens the attempt, patches, and proves it; returns its id.
    async fn patch_and_prove(&mut self, evidence: &Evidence) -> Result<String, DemoError> {
        let mut tiny = attempt(evidence, "a kernel that hardly matters");
        tiny["target"]["kernel"] = json!({
            "name": "no_such_kernel", "correctness_ref": "decode_base_ms", "shapes": ["[16, 4096]"],
            "dtypes": ["bf16"], "layouts": ["row major"], "wired_in": super::stage::COSTS,
        });
        self.refused("kernel", "at least 1%", "update_ledger", tiny)
            .await?;
        let change = "Fuse the residual add into the RMS norm";
        self.patch(&FUSED, change)?;
        self.refused(
            "unclaimed_change",
            "no attempt is open",
            "update_ledger",
            attempt(evidence, change),
        )
        .await?;
        self.stage.git(&["reset", "-q", "--hard", "HEAD~1"])?;
        self.did("git reset --hard HEAD~1");
        let id = self.attempt(evidence, change).await?;
        self.patch(&FUSED, change)?;
        let done = json!({"kind": "attempt", "id": id, "state": "done", "outcome": "win", "summary": "believe me"});
        self.refused("optimization", "tests", "update_ledger", done)
            .await?;
        self.settled().await?;
        self.revalidate().await?;
        Ok(id)
    }

    /// Closes the attempt as what was measured.
    async fn close(&mut self, id: &str) -> Result<(), DemoError> {
        let wrong = json!({"kind": "attempt", "id": id, "state": "done", "outcome": "neutral", "summary": "no difference"});
        self.refused("optimization", "which is", "update_ledger", wrong)
            .await?;
        let done = json!({
            "kind": "attempt", "id": id, "state": "done", "outcome": "win",
            "summary": "The residual add is part of the norm: one launch less in every layer.",
        });
        self.call("update_ledger", done).await.map(drop)
    }
}

fn remove(path: &std::path::Path) -> Result<(), DemoError> {
    std::fs::remove_file(path).map_err(|source| DemoError::Folder {
        path: path.to_path_buf(),
        source,
    })
}
