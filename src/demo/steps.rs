//! Steps that every play takes: opening, history, baseline, loop, evidence,
//! attempts.

use serde_json::{Value, json};

use super::play::{Agent, Play, text};
use super::{Cost, DemoError};

/// What an attempt's record must agree with in later steps.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// The newest `gap_checked`, `profile_recorded` and `pipeline_recorded` events.
    pub gap: u64,
    pub profile: u64,
    pub pipeline: u64,
    /// A cause of the gap, and a kernel of the target's decode stage.
    pub cause: String,
    pub kernel: String,
}

impl Evidence {
    /// What a gap decision alone shows.
    pub(super) fn of_gap(gap: &Value) -> Result<Self, DemoError> {
        let attribution = gap["scenarios"][0]["attribution"].as_array();
        let causes = attribution.into_iter().flatten();
        let largest = causes.max_by(|a, b| {
            let share = |cause: &Value| cause["share_pct"].as_f64().unwrap_or_default();
            share(a).total_cmp(&share(b))
        });
        let cause = largest.and_then(|cause| cause["cause"].as_str());
        Ok(Self {
            gap: event("check_gap", gap)?,
            profile: 0,
            pipeline: 0,
            cause: cause.unwrap_or_default().to_owned(),
            kernel: String::new(),
        })
    }

    /// The row of the gap's largest cause.
    pub(super) fn cited_cause(&self) -> Value {
        json!({"event": self.gap, "table": "attribution", "part": "chat", "row": self.cause})
    }
}

impl<A: Agent> Play<'_, A> {
    /// Plays a campaign to its decided baseline, which is all that a loop waits
    /// for.
    pub async fn to_baseline(&mut self) -> Result<Value, DemoError> {
        self.open().await?;
        self.history().await?;
        self.baseline().await
    }

    /// Opens the campaign on the stage's checkout.
    pub(super) async fn open(&mut self) -> Result<Value, DemoError> {
        let request = json!({
            "action": "open",
            "model": "sim-8b",
            "precision": "bf16",
            "hardware": {"gpu_model": "none"},
            "comparison_frameworks": ["vllm"],
            "excluded": {"tensorrt-llm": "not simulated", "tokenspeed": "not simulated"},
            "checkout": self.stage.checkout,
        });
        self.call("campaign", request).await
    }

    /// Reads the history and writes the notes.
    pub(super) async fn history(&mut self) -> Result<(), DemoError> {
        let roots = json!([self.stage.knowledge]);
        let asked =
            json!({"model": "sim-8b", "query": "residual add rms norm decode", "roots": roots});
        self.call("query_history", asked).await?;
        let record = json!({
            "model": "sim-8b",
            "query": "residual add rms norm decode",
            "roots": roots,
            "record": {"decisions": [
                {"pr": 101, "influenced": "look at the separate residual add first", "risk": "outputs must not change"},
                {"pr": 902, "influenced": "fuse it into the norm as the leader does", "risk": "numerics of the residual"},
            ]},
        });
        self.call("query_history", record).await.map(drop)
    }

    /// Runs the baseline to its end and decides the gap.
    pub(super) async fn baseline(&mut self) -> Result<Value, DemoError> {
        let plan = json!({"plan": self.stage.plan, "label": "baseline", "wait_s": 0});
        let started = self.call("run_benchmark", plan).await?;
        self.follow("run_benchmark", &started).await?;
        self.call("check_gap", json!({})).await
    }

    pub(super) async fn start_loop(&mut self) -> Result<Value, DemoError> {
        let request = json!({"action": "start_loop", "runtime": "builtin", "base_branch": "main"});
        self.call("campaign", request).await
    }

    /// Measures the sealed workload again at the present tree, with more
    /// repeats while the interval does not decide.
    pub(super) async fn revalidate(&mut self) -> Result<Value, DemoError> {
        self.revalidate_with(&json!({})).await
    }

    /// The same with further arguments.
    pub(super) async fn revalidate_with(&mut self, more: &Value) -> Result<Value, DemoError> {
        let mut asked = json!({"label": "revalidation", "wait_s": 0});
        if let (Some(asked), Some(more)) = (asked.as_object_mut(), more.as_object()) {
            asked.extend(more.clone());
        }
        let mut gap = self.measure_again(asked.clone()).await?;
        for repeats in [6, 10] {
            if gap["decision"] != "rerun" {
                break;
            }
            asked["repeats"] = json!(repeats);
            gap = self.measure_again(asked.clone()).await?;
        }
        Ok(gap)
    }

    async fn measure_again(&mut self, asked: Value) -> Result<Value, DemoError> {
        let started = self.call("run_benchmark", asked).await?;
        self.follow("run_benchmark", &started).await?;
        self.call("check_gap", json!({})).await
    }

    /// Captures one framework and has its traces analysed.
    pub(super) async fn capture(&mut self, framework: &str) -> Result<Value, DemoError> {
        let asked = json!({"capture": {"framework": framework, "stage": "decode", "graphs": "both"}, "wait_s": 0});
        let started = self.call("profile", asked).await?;
        self.follow("profile", &started).await
    }

    /// Everything that a root cause rests on, at the present tree.
    pub(super) async fn evidence(&mut self, gap: &Value) -> Result<Evidence, DemoError> {
        self.capture("vllm").await?;
        let profile = self.capture("sglang").await?;
        let trace = self.decode_trace(&profile)?;
        let pipeline = self
            .call("analyze_pipeline", json!({"trace": trace, "pass": "auto"}))
            .await?;
        let hot = pipeline["hot_kernels"][0]["name"].as_str();
        Ok(Evidence {
            profile: event("profile", &profile)?,
            pipeline: event("analyze_pipeline", &pipeline)?,
            kernel: hot.unwrap_or_default().to_owned(),
            ..Evidence::of_gap(gap)?
        })
    }

    fn decode_trace(&self, profile: &Value) -> Result<String, DemoError> {
        let traces = profile["traces"].as_array().cloned().unwrap_or_default();
        let graphs_on = traces.iter().find(|trace| trace["graphs"] == "graphs-on");
        let first = graphs_on.or(traces.first()).unwrap_or(&Value::Null);
        Ok(text("profile", first, "path")?.to_owned())
    }

    pub(super) async fn root_cause(&mut self, evidence: &Evidence) -> Result<Value, DemoError> {
        self.call("update_ledger", root_cause(evidence)).await
    }

    /// Opens an attempt on the decode step; returns its id.
    pub(super) async fn attempt(
        &mut self,
        evidence: &Evidence,
        change: &str,
    ) -> Result<String, DemoError> {
        let opened = self
            .call("update_ledger", attempt(evidence, change))
            .await?;
        let id = text("update_ledger", &opened["recorded"], "id")?.to_owned();
        self.check().await?;
        Ok(id)
    }

    /// Edits the step costs and commits.
    pub(super) fn patch(&mut self, costs: &[Cost], message: &str) -> Result<(), DemoError> {
        self.stage.edit(costs)?;
        self.stage.commit(message)?;
        self.did(&format!("git commit: {message}"));
        Ok(())
    }

    /// Has the server run the open attempt's tests and take its outputs; on the
    /// base tree, the outputs to compare with.
    pub(super) async fn check(&mut self) -> Result<(), DemoError> {
        self.call(
            "update_ledger",
            json!({"kind": "attempt", "state": "check"}),
        )
        .await?;
        self.settled().await
    }

    /// Undoes an attempt's commit and closes it as rejected.
    pub(super) async fn reject(&mut self, id: &str, why: &str) -> Result<(), DemoError> {
        self.stage.git(&["revert", "--no-edit", "HEAD"])?;
        self.did("git revert HEAD");
        let closed = json!({"kind": "attempt", "id": id, "state": "rejected", "outcome": "neutral", "summary": why});
        self.call("update_ledger", closed).await.map(drop)
    }

    pub(super) async fn round_end(
        &mut self,
        summary: &str,
        next: &str,
    ) -> Result<Value, DemoError> {
        let ended = json!({"kind": "round_end", "summary": summary, "next_patch": next});
        self.call("update_ledger", ended).await
    }

    pub(super) async fn finish(
        &mut self,
        outcome: &str,
        reason: &str,
        evidence: &[u64],
    ) -> Result<Value, DemoError> {
        let finish =
            json!({"action": "finish", "outcome": outcome, "reason": reason, "evidence": evidence});
        self.call("campaign", finish).await
    }
}

/// The root cause that the sample's rows show.
pub(super) fn root_cause(evidence: &Evidence) -> Value {
    json!({
        "kind": "root_cause",
        "stage": "decode",
        "scenario": "chat",
        "cause": "kernel",
        "summary": "A decode step takes longer than the leader's at the same batch: the residual add and the RMS norm are two launches in every layer.",
        "rows": [
            evidence.cited_cause(),
            {"event": evidence.profile, "table": "kernel", "part": "decode", "row": evidence.kernel},
            {"event": evidence.pipeline, "table": "hot_kernel", "row": evidence.kernel},
        ],
        "source_paths": [{"path": super::stage::COSTS, "lines": [7, 13]}],
        "cards": [{"framework": "sglang", "pr": 101}, {"framework": "vllm", "pr": 902}],
        "layers": "All layers are alike; each adds the residual and normalises it in two kernels.",
    })
}

/// An attempt on the decode step.
pub(super) fn attempt(evidence: &Evidence, change: &str) -> Value {
    json!({
        "kind": "attempt",
        "state": "open",
        "target": {"change": change, "files": [super::stage::COSTS]},
        "cites": [
            evidence.cited_cause(),
            {"event": evidence.profile, "table": "kernel", "part": "decode", "row": evidence.kernel},
        ],
        "expected": "a decode step as short as the leader's",
        "tests": [["python3", "-m", "unittest", "discover", "-s", "test"]],
    })
}

/// The number of the event that a call recorded.
pub(super) fn event(tool: &str, record: &Value) -> Result<u64, DemoError> {
    let found = record["event"]
        .as_u64()
        .or_else(|| record["event"]["seq"].as_u64());
    found.ok_or_else(|| DemoError::Lacks {
        tool: tool.to_owned(),
        key: "event".to_owned(),
        record: record.to_string(),
    })
}
