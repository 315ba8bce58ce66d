//! The second play: two weak rounds, after which a new idea must come first.

use serde_json::{Value, json};

use super::play::{Agent, Play};
use super::steps::attempt;
use super::{Cost, DemoError};

impl<A: Agent> Play<'_, A> {
    /// Plays two rounds that gain nothing; then a source idea, with which the
    /// next attempt may open.
    pub async fn to_plateau(&mut self) -> Result<Value, DemoError> {
        self.chapter("Two weak rounds");
        self.to_baseline().await?;
        self.start_loop().await?;
        for (round, ms) in [0.19, 0.21].into_iter().enumerate() {
            let gap = self.call("check_gap", json!({})).await?;
            let found = self.evidence(&gap).await?;
            self.root_cause(&found).await?;
            let id = self.attempt(&found, "Sample a little faster").await?;
            self.patch(
                &[Cost {
                    part: "sampling",
                    ms,
                }],
                "Sample a little faster",
            )?;
            let early = json!({"kind": "attempt", "id": id, "state": "rejected", "outcome": "neutral", "summary": "nothing gained"});
            if round == 0 {
                self.refused(
                    "unclaimed_change",
                    "last accepted one",
                    "update_ledger",
                    early,
                )
                .await?;
            }
            self.reject(&id, "no difference that could be measured")
                .await?;
            self.round_end("Sampling is not it.", "look at the leader's norm")
                .await?;
        }
        let gap = self.call("check_gap", json!({})).await?;
        let found = self.evidence(&gap).await?;
        self.root_cause(&found).await?;
        let open = attempt(&found, "Sample faster still");
        self.refused("plateau", "source_idea", "update_ledger", open.clone())
            .await?;

        self.chapter("A new idea, with its source");
        let bare =
            json!({"kind": "source_idea", "claim": "the leader is better", "provenance": []});
        self.refused("invalid_argument", "provenance", "update_ledger", bare)
            .await?;
        let commit = self.stage.git(&["rev-parse", "main"])?;
        let idea = json!({
            "kind": "source_idea",
            "claim": "Fuse the residual add into the RMS norm, as the leader does since PR 902",
            "profiler_rows": [{"event": found.profile, "table": "kernel", "part": "decode", "row": found.kernel}],
            "cards": [{"framework": "vllm", "pr": 902}],
            "provenance": [{
                "repo": self.stage.checkout, "commit": commit, "path": super::stage::COSTS,
                "lines": [7, 13], "licence": "Apache-2.0",
            }],
        });
        self.call("update_ledger", idea).await?;
        self.call("update_ledger", open).await
    }
}
