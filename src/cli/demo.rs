//! `sota-loop demo`: the main job on two simulated engines, as an agent would
//! drive it: the same tool calls, shown with their answers.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::output::{Output, print};
use crate::bench::BenchRecord;
use crate::fault::{Fault, FaultCode};
use crate::gap::GapRecord;
use crate::mcp::{ToolContext, tools};
use crate::own_binary::own_binary;
use crate::{disk, job};

const PLAN: &str = include_str!("../../references/demo-plan.yaml");

const EXAMPLES: &str = "\
Examples:
  sota-loop demo
  sota-loop demo --loop
  sota-loop demo --dir /tmp/demo

Needs no GPU, no model and no network: the engines are simulated with a stated cost model.";

/// Benchmark two simulated frameworks and decide the gap, in under a minute.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Folder for everything that the demo writes [default: out/demo-<time>].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Play a whole campaign: from 6% behind to tied by one patch, with every
    /// step that is refused on the way. Needs git and python3; under two minutes.
    #[arg(long = "loop")]
    whole_loop: bool,
}

pub fn run(args: DemoArgs, output: &Output) -> Result<(), Fault> {
    let workspace = workspace(args.dir)?;
    if args.whole_loop {
        return super::demo_loop::run(&workspace, output);
    }
    let plan = plan()?;
    disk::write_atomic(&workspace.join("plan.yaml"), plan.as_bytes())?;
    let runtime = super::runtime()?;
    let demo = Demo { workspace, output };
    runtime.block_on(demo.play())
}

struct Demo<'a> {
    workspace: PathBuf,
    output: &'a Output,
}

impl Demo<'_> {
    async fn play(&self) -> Result<(), Fault> {
        let campaign = self
            .call(
                "campaign",
                json!({
                    "action": "open",
                    "model": "sim-8b",
                    "precision": "bf16",
                    "hardware": {"gpu_model": "none"},
                    "comparison_frameworks": ["vllm"],
                    "excluded": {"tensorrt-llm": "not simulated", "tokenspeed": "not simulated"},
                }),
            )
            .await?;
        self.say(&format!("  {}", text(&campaign["root"])));
        let plan = self.workspace.join("plan.yaml");
        let started = self
            .call(
                "run_benchmark",
                json!({"plan": plan, "label": "smoke", "wait_s": 0}),
            )
            .await?;
        let cost = &started["cost"];
        self.say(&format!(
            "  {}: {} launches, {} runs",
            text(&started["job_id"]),
            cost["launches"],
            cost["runs"]
        ));
        let folder = job::open(text(&started["job_id"]))?;
        super::bench::follow(&folder, self.output).await?;
        let asked = json!({"job_id": started["job_id"], "wait_s": 0, "detail": "full"});
        let bench: BenchRecord = typed(self.call("run_benchmark", asked).await?)?;
        self.say(&format!("\n{}\n", super::bench::human(&bench)));
        if let Some(failure) = bench.failure {
            return Err(failure);
        }
        let gap: GapRecord = typed(self.call("check_gap", json!({})).await?)?;
        self.say(&format!("\n{}\n", super::gap::human(&gap)));
        if self.output.is_json() {
            return self.output.record(&gap, |_| String::new());
        }
        self.say(&format!("Everything is in {}", self.workspace.display()));
        Ok(())
    }

    /// Shows and makes one tool call.
    async fn call(&self, tool: &str, mut arguments: Value) -> Result<Value, Fault> {
        self.say(&format!("> {tool} {arguments}"));
        arguments["workspace"] = json!(self.workspace);
        let entries = tools::all();
        let entry = entries
            .iter()
            .find(|entry| entry.name == tool)
            .ok_or_else(|| tools::unknown(tool))?;
        entry.call(arguments, ToolContext::detached(None)).await
    }

    fn say(&self, line: &str) {
        if !self.output.is_json() {
            print(line);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            format!("a tool's result is not what its schema says: {error}"),
            "this is a defect of sota-loop; please report it",
        )
    })
}

/// The demo's folder, absolute.
fn workspace(asked: Option<PathBuf>) -> Result<PathBuf, Fault> {
    let dir = asked.unwrap_or_else(|| {
        let stamp: String = job::now()
            .chars()
            .filter(char::is_ascii_digit)
            .take(14)
            .collect();
        Path::new("out").join(format!("demo-{stamp}"))
    });
    disk::create_dir(&dir)?;
    dir.canonicalize().map_err(|error| {
        Fault::new(
            FaultCode::NotWritable,
            format!("cannot use {}: {error}", dir.display()),
            "name another folder with --dir",
        )
    })
}

/// The demo's plan with the path of this program filled in.
fn plan() -> Result<String, Fault> {
    let binary = own_binary().map_err(|error| {
        Fault::new(
            FaultCode::Internal,
            format!("the path of this program is unknown: {error}"),
            "set SOTA_LOOP_BINARY to it",
        )
    })?;
    let quoted = json!(binary).to_string();
    Ok(PLAN.replace("\"{binary}\"", &quoted))
}
