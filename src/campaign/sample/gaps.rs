//! Gap decisions of the sample campaign.

use super::*;
use crate::gap::{Attribution, Better, Decision, GapRecord, Plateau, ScenarioGap, Side, Verdict};

fn side(framework: &str) -> Side {
    Side {
        framework: framework.to_owned(),
        candidate_id: "base".to_owned(),
        mean: Some(5.0),
        repeats: 3,
        launches: Some(3),
        sla_passed: true,
        failures: Vec::new(),
    }
}

/// A scenario whose interval is `gap` ± `half` percent.
pub fn scenario(verdict: Verdict, gap: f64, half: f64) -> ScenarioGap {
    ScenarioGap {
        scenario: "chat".to_owned(),
        request_rate: None,
        max_concurrency: None,
        verdict,
        reason: String::new(),
        n: 3,
        gap_pct: Some(gap),
        ci_pct: Some([gap - half, gap + half]),
        bootstrap_ci_pct: None,
        not_behind: gap - half > -0.99,
        repeats_needed: None,
        target: Some(side("sglang")),
        leader: Some(side("vllm")),
        pairs: Vec::new(),
        others: Vec::new(),
        fairness: Vec::new(),
        drift_pct: None,
        attribution: Some(vec![Attribution {
            cause: "decode_step".to_owned(),
            seconds: 2.0,
            share_pct: 90.0,
            evidence: "decode steps take 7.1 ms against 6.6 ms".to_owned(),
        }]),
        look_at: None,
        attributed_repeat: None,
        explanation: None,
        where_to_look: None,
    }
}

pub fn gap(label: BenchmarkLabel, tree: &str, scenario: ScenarioGap) -> GapChecked {
    let decision = match scenario.verdict {
        Verdict::Behind => Decision::Patch,
        _ if scenario.not_behind => Decision::StopSuccess,
        _ => Decision::Rerun,
    };
    GapChecked {
        job_id: Some("bench-1".to_owned()),
        label,
        target_tree: Some(tree.to_owned()),
        tree_verified: true,
        record: GapRecord {
            target: "sglang".to_owned(),
            metric: "request_throughput".to_owned(),
            better: Better::Higher,
            geomean_gap_pct: scenario.gap_pct,
            scenarios: vec![scenario],
            decision,
            decision_reason: "because".to_owned(),
            plateau: Plateau {
                rounds: 0,
                weak_rounds: 0,
                reached: false,
            },
            next: String::new(),
            warnings: Vec::new(),
            truncated: false,
            total: 1,
        },
    }
}
