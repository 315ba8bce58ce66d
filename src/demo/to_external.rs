//! The third play: what is missing lies outside the target's code.

use serde_json::{Value, json};

use super::DemoError;
use super::play::{Agent, Play};
use super::steps::event;

impl<A: Agent> Play<'_, A> {
    /// Plays a campaign that ends as external, by a command that the server ran.
    pub async fn to_external(&mut self) -> Result<Value, DemoError> {
        self.chapter("What lies outside");
        self.to_baseline().await?;
        self.start_loop().await?;
        let finish = json!({"action": "finish", "outcome": "external", "reason": "a kernel library is missing"});
        self.refused("external", "a blocker", "campaign", finish)
            .await?;
        let word = json!({
            "kind": "blocker", "cause": "missing_dependency",
            "detail": "the fused norm needs a library that is not to be had here",
        });
        self.refused("invalid_argument", "can see", "update_ledger", word)
            .await?;
        let seen = json!({
            "kind": "blocker", "cause": "missing_dependency",
            "detail": "the fused norm needs a library that is not to be had here",
            "command": ["python3", "-c", "import a_kernel_library_that_is_not_there"],
        });
        let recorded = self.call("update_ledger", seen).await?;
        let blocker = event("update_ledger", &recorded)?;
        self.finish(
            "external",
            "the library is not to be had on this host",
            &[blocker],
        )
        .await
    }

    /// Plays a campaign that the user gives up.
    pub async fn to_abandoned(&mut self) -> Result<Value, DemoError> {
        self.chapter("Given up");
        self.open().await?;
        self.finish("abandoned", "the machine is needed elsewhere", &[])
            .await
    }
}
