//! Servers that computed different numbers of prompt tokens did different
//! work. That comes before every cause.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Side;
use super::observe::thousands;
use super::replay::replay;
use super::run::Run;

/// Totals that differ by more are different work.
const EQUAL: f64 = 0.02;
/// Equal prompts come before the causes when they take this share of the difference away.
const FIRST_PCT: f64 = 50.0;

/// Prompt tokens of both servers, and what their difference costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnequalPrompts {
    /// Prompt tokens that the target's server computed or found in its cache.
    pub target_tokens: f64,
    pub leader_tokens: f64,
    /// How much longer the target's are, in percent.
    pub longer_pct: f64,
    /// Change of the target's wall time by the model with as many prompt
    /// tokens as the leader, in seconds.
    pub seconds: f64,
    /// Share of the difference in wall time that goes away with it, in percent.
    pub share_pct: f64,
}

impl UnequalPrompts {
    /// None where both servers computed as many, or the runs had different
    /// numbers of requests.
    pub(super) fn of(runs: [&Run; 2], sides: &[Side; 2], wall_s: f64) -> Option<Self> {
        let [target_tokens, leader_tokens] =
            [0, 1].map(|i| runs[i].prompt_tokens() * sides[i].engine.prompt_scale.prefill);
        let longer = target_tokens / leader_tokens.max(1.0) - 1.0;
        let [target, leader] = sides;
        if longer.abs() <= EQUAL || target.workload.requests.len() != leader.workload.requests.len()
        {
            return None;
        }
        let mut engine = target.engine.clone();
        engine.prompt_scale = leader.engine.prompt_scale;
        let mut workload = target.workload.clone();
        for (ask, theirs) in workload.requests.iter_mut().zip(&leader.workload.requests) {
            ask.prompt = theirs.prompt;
        }
        let seconds = replay(&engine, &workload)?.wall_s - wall_s;
        let difference = runs[0].facts.duration_s - runs[1].facts.duration_s;
        Some(Self {
            target_tokens,
            leader_tokens,
            longer_pct: 100.0 * longer,
            seconds,
            share_pct: if difference == 0.0 {
                0.0
            } else {
                -100.0 * seconds / difference
            },
        })
    }

    /// Whether equal prompts come before whatever the causes say.
    pub fn come_first(&self) -> bool {
        self.share_pct >= FIRST_PCT
    }

    /// What to say before anything else.
    pub(super) fn told(&self, target: &str, leader: &str) -> String {
        let after = if self.come_first() {
            "; send both the same token ids and measure again before looking at any cause"
        } else {
            "; send both the same token ids"
        };
        format!(
            "not the same work: {target}'s server computed {} prompt tokens and {leader}'s {} ({:+.1}%). With as many as {leader}, {target}'s wall time would change by {:+.2} s by the model: {:.0}% of the difference would be gone{after}",
            thousands(self.target_tokens),
            thousands(self.leader_tokens),
            self.longer_pct,
            self.seconds,
            self.share_pct,
        )
    }
}
