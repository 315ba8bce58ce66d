//! The fifth play: launch parameters are the cause, which no patch mends.

use serde_json::{Value, json};

use super::play::{Agent, Play};
use super::stage::FUSED;
use super::steps::{Evidence, attempt};
use super::{DemoError, stage};
use crate::disk;

impl<A: Agent> Play<'_, A> {
    /// Plays a campaign whose target is as fast as the leader and runs too few
    /// requests at once; it ends as tied without an attempt.
    pub async fn to_searched_again(&mut self) -> Result<Value, DemoError> {
        self.chapter("A flag too low");
        self.patch(&FUSED, "The sources as fast as the leader's")?;
        self.cap_the_target()?;
        self.to_baseline().await?;
        self.start_loop().await?;
        let gap = self.call("check_gap", json!({})).await?;
        let evidence = Evidence::of_gap(&gap)?;
        let cause = json!({
            "kind": "root_cause", "stage": "decode", "scenario": "chat", "cause": "configuration",
            "summary": "The target runs eight requests at once while others wait, with room in its cache.",
            "rows": [evidence.cited_cause()],
            "source_paths": [{"path": stage::COSTS}],
            "cards": [{"framework": "sglang", "pr": 101}, {"framework": "vllm", "pr": 902}],
        });
        self.call("update_ledger", cause).await?;
        let mut open = attempt(&evidence, "Raise the default");
        open["cites"] = json!([evidence.cited_cause()]);
        self.refused("evidence", "configuration", "update_ledger", open)
            .await?;

        self.chapter("The flags are searched again");
        let flags = json!({"target_flags": {"max_running_requests": 64}});
        self.revalidate_with(&flags).await?;
        self.round_end("The cap is gone; no code was changed.", "")
            .await?;
        self.finish("tied", "no scenario is more than 1% behind the leader", &[])
            .await
    }

    /// The target's plan with a cap of half the requests.
    fn cap_the_target(&mut self) -> Result<(), DemoError> {
        let text = disk::read_text(&self.stage.plan)?;
        let capped = text.replace(
            "disable_radix_cache: true",
            "disable_radix_cache: true, max_running_requests: 8",
        );
        Ok(disk::write_atomic(&self.stage.plan, capped.as_bytes())?)
    }
}
