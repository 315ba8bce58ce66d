//! From a cell and its outcome to its row.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::BenchError;
use super::candidate::Candidate;
use super::failure::RunFailure;
use super::installation::Installation;
use super::measure::Measured;
use super::metrics::{RowMetrics, SloOutcome};
use super::plan::{DatasetKind, LoadPoint, Plan, Scenario};
use super::remote::Share;
use super::request::BenchPayload;
use super::row::{Artifacts, PerGpu, Row, RowHardware, RowSla, RowSource, RowStatus, Workload};
use super::row_place::RowPlace;
use super::server::{Server, argv};
use super::session::{Phase, Session};
use crate::engine::{Counts, Settings};
use crate::job::now;
use crate::redact::redact_argv;
use crate::sha256;
use crate::shell_words::shell_words;
use crate::source_state::SourceState;

/// Everything of a row that is known before it is measured.
#[derive(Debug, Clone)]
pub struct Cell {
    pub candidate: Candidate,
    pub scenario: Scenario,
    pub load: LoadPoint,
    pub phase: Phase,
    pub repeat: u32,
    /// SHA-256 over label, workload, argv, environment and repeat.
    pub key: String,
    argv: Vec<String>,
    raw: PathBuf,
}

/// Makes the rows of one job.
#[derive(Debug)]
pub struct RowWriter {
    plan: Plan,
    label: Option<String>,
    share: Option<Share>,
    job_id: String,
    /// What each framework of the plan turned out to be.
    pub installations: IndexMap<String, Installation>,
    /// The load generator's own help.
    pub benchmark_help: Option<PathBuf>,
}

/// A launch of the job, and the sources that it runs.
#[derive(Debug, Clone)]
pub struct Launch {
    /// From 1.
    pub number: u32,
    pub source: Option<RowSource>,
}

impl RowWriter {
    pub fn new(payload: &BenchPayload, job_id: &str) -> Self {
        Self {
            plan: payload.plan.clone(),
            label: payload.label.clone(),
            share: payload.share.clone(),
            job_id: job_id.to_owned(),
            installations: IndexMap::new(),
            benchmark_help: None,
        }
    }

    /// From now on a run has this many requests.
    pub fn set_num_prompts(&mut self, num_prompts: u32) {
        self.plan.dataset.num_prompts = num_prompts;
    }

    pub fn cell(
        &self,
        candidate: &Candidate,
        session: &Session,
        scenario: &Scenario,
        (load_index, load): (usize, LoadPoint),
        raw: PathBuf,
    ) -> Result<Cell, BenchError> {
        let plan = &self.plan;
        let framework = plan
            .frameworks
            .get(&candidate.framework)
            .ok_or_else(|| BenchError::NoSuchFramework(candidate.framework.clone()))?;
        // Port 0 stands for any port: a free one differs from launch to launch.
        let argv = argv(plan, framework, candidate, 0)?;
        // A checkout that cannot be read gets no launch, which says why.
        let source = framework
            .source
            .as_ref()
            .and_then(|source| SourceState::of(&source.checkout).ok())
            .map(|state| state.key());
        let facts = json!({
            "label": self.label,
            "argv": argv,
            "env": framework.env,
            "source": source,
            "dataset": plan.dataset,
            "benchmark": plan.benchmark,
            "sampling": plan.sampling,
            "sla": plan.sla,
            "warmup": plan.warmup,
            "hardware": plan.hardware,
            "scenario": scenario,
            "load": [json!(load_index), json!(load)],
            "phase": session.phase,
            "repeat": session.repeat,
        });
        Ok(Cell {
            candidate: candidate.clone(),
            scenario: scenario.clone(),
            load,
            phase: session.phase,
            repeat: session.repeat,
            key: sha256::hex(facts.to_string().as_bytes()),
            argv,
            raw,
        })
    }

    /// The row of a run that gave numbers.
    pub fn measured(&self, cell: &Cell, server: &Server, launch: &Launch, run: Measured) -> Row {
        let mut row = self.blank(cell);
        row.status = RowStatus::Ok;
        self.on_server(&mut row, server, launch);
        let metrics = run.metrics;
        row.workload.workload_sha256 = Some(run.workload_sha256);
        if let Some(lengths) = &metrics.extras.prompt_tokens_server {
            row.workload.input_len_p50 = lengths.p50;
            row.workload.input_len_p95 = lengths.p95;
        }
        if let Some(lengths) = &metrics.extras.output_tokens {
            row.workload.output_len_p50 = lengths.p50;
            row.workload.output_len_p95 = lengths.p95;
        }
        row.cache.flushed = run.flushed;
        row.cache.prefix_cache_hit_rate = metrics.extras.prefix_cache_hit_rate;
        row.sla.passed = metrics.slo.as_ref().is_none_or(|slo| slo.passed);
        row.sla.broken = metrics.slo.as_ref().map(broken).unwrap_or_default();
        row.sla.attainment = metrics.slo;
        row.timing.warmup_passes = run.warmup.passes;
        row.timing.warmup_s = run.warmup.seconds;
        row.timing.warmup_settled = run.warmup.settled;
        row.timing.run_s = run.run_s;
        if let Some(counts) = run.server_counts {
            row.server_generation_tokens_delta = counts.generation_tokens;
            row.cache.prefix_cache_hit_rate = counts
                .prefix_cache_hit_rate()
                .or(row.cache.prefix_cache_hit_rate);
            row.phase_metrics = counts
                .queue_ms()
                .map_or(Value::Null, |ms| json!({"queue_ms": ms}));
            row.spec_decode = spec_decode(&counts, &server.settings);
            row.server_counts = Some(counts);
        }
        row.gpu = run.gpu;
        row.per_gpu = per_gpu(&metrics.row, &self.plan);
        row.metrics = Some(metrics.row);
        row.extras = Some(metrics.extras);
        row.artifacts.raw_result = Some(cell.raw.clone());
        row.artifacts.timeline = run.timeline;
        row.warnings = run.warnings;
        row
    }

    /// The row of a candidate that was never up.
    pub fn failed(&self, cell: &Cell, failure: &RunFailure) -> Row {
        let mut row = self.blank(cell);
        row.status = failure.status;
        row.failure_reason = Some(failure.reason.clone());
        row
    }

    /// The row of a run that failed on a server that had been up.
    pub fn failed_on(
        &self,
        cell: &Cell,
        server: &Server,
        launch: &Launch,
        failure: &RunFailure,
    ) -> Row {
        let mut row = self.failed(cell, failure);
        self.on_server(&mut row, server, launch);
        if cell.raw.exists() {
            row.artifacts.raw_result = Some(cell.raw.clone());
        }
        row
    }

    fn on_server(&self, row: &mut Row, server: &Server, launch: &Launch) {
        row.server_argv = redact_argv(&server.argv);
        row.server_command = shell_words(&redact_argv(&server.command));
        row.artifacts.server_log = Some(server.log.clone());
        row.timing.ready_s = Some(server.ready_s);
        row.launch = Some(launch.number);
        row.source.clone_from(&launch.source);
        let settings = &server.settings;
        row.cache.prefix_cache_enabled = settings.prefix_cache_enabled;
        row.cache.kv_cache_tokens = settings.kv_cache_tokens;
        row.memory = json!({
            "gpu_memory_utilization": settings.memory_fraction,
            "kv_cache_dtype": settings.kv_cache_dtype,
        });
        if row.framework_version.is_none() {
            row.framework_version.clone_from(&settings.version);
        }
        row.framework_commit = launch.source.as_ref().map(|source| source.commit.clone());
        row.server_settings = Some(settings.clone());
    }

    fn blank(&self, cell: &Cell) -> Row {
        let plan = &self.plan;
        let argv = redact_argv(&cell.argv);
        let installed = self.installations.get(&cell.candidate.framework);
        Row {
            framework: cell.candidate.framework.clone(),
            framework_version: installed.and_then(|found| found.probe.version.clone()),
            candidate_id: cell.candidate.id.clone(),
            model: plan.model.name.clone(),
            repeat: cell.repeat,
            phase: cell.phase,
            label: self.label.clone(),
            job_id: self.job_id.clone(),
            key: cell.key.clone(),
            time: now(),
            hardware: RowHardware {
                gpu_model: plan.hardware.gpu_model.clone(),
                gpu_count: plan.hardware.gpu_count,
                visible_devices: plan.hardware.gpu_ids.clone(),
            },
            executor: plan
                .frameworks
                .get(&cell.candidate.framework)
                .and_then(|framework| RowPlace::of(self.share.as_ref(), framework)),
            workload: workload(plan, cell),
            sla: RowSla {
                limits: plan.sla.clone(),
                ..RowSla::default()
            },
            server_command: shell_words(&argv),
            server_argv: argv,
            benchmark_command: "sota-loop bench".to_owned(),
            validated_cli_flags: validated(installed, &cell.argv),
            artifacts: Artifacts {
                server_help: installed.and_then(|found| found.help.clone()),
                benchmark_help: self.benchmark_help.clone(),
                ..Artifacts::default()
            },
            ..Row::default()
        }
    }
}

/// Flags of a command that its server's own help has; null where none was read.
fn validated(installed: Option<&Installation>, argv: &[String]) -> Value {
    let Some(known) = installed.and_then(|found| found.flags.as_ref()) else {
        return Value::Null;
    };
    let server: Vec<&str> = argv
        .iter()
        .filter_map(|word| word.split('=').next())
        .filter(|word| word.starts_with("--") && known.get(word).is_some())
        .collect();
    json!({"server": server})
}

fn spec_decode(counts: &Counts, settings: &Settings) -> Value {
    let (length, rate) = (counts.mean_accept_length(), counts.acceptance_rate());
    let enabled = settings.speculative_algorithm.is_some() || counts.drafts.is_some();
    if !enabled && length.is_none() {
        return Value::Null;
    }
    json!({
        "enabled": true,
        "algorithm": settings.speculative_algorithm,
        "mean_accept_length": length,
        "acceptance_rate": rate,
    })
}

fn per_gpu(metrics: &RowMetrics, plan: &Plan) -> Option<PerGpu> {
    if plan.hardware.gpu_ids.is_empty() {
        return None;
    }
    let gpus = f64::from(plan.hardware.gpu_count);
    let share = |value: Option<f64>| value.map(|value| value / gpus);
    Some(PerGpu {
        request_throughput: share(metrics.request_throughput),
        output_token_throughput: share(metrics.output_token_throughput),
        total_token_throughput: share(metrics.total_token_throughput),
    })
}

fn workload(plan: &Plan, cell: &Cell) -> Workload {
    let random = plan.dataset.kind == DatasetKind::Random;
    Workload {
        kind: match plan.dataset.kind {
            DatasetKind::Random => "random",
            DatasetKind::Jsonl => "jsonl",
        }
        .to_owned(),
        scenario: cell.scenario.name.clone(),
        dataset_path: plan.dataset.path.clone(),
        input_len: random.then_some(cell.scenario.input_len),
        output_len: random.then_some(cell.scenario.output_len),
        input_len_p50: None,
        input_len_p95: None,
        output_len_p50: None,
        output_len_p95: None,
        num_prompts: plan.dataset.num_prompts,
        request_rate: cell.load.request_rate,
        max_concurrency: cell.load.max_concurrency,
        endpoint: plan.benchmark.endpoint.clone(),
        workload_sha256: None,
    }
}

/// The limits that a run broke, in words.
fn broken(slo: &SloOutcome) -> Vec<String> {
    slo.attainment
        .iter()
        .filter(|limit| !limit.met)
        .map(|limit| match limit.measured {
            Some(measured) => format!("{} is {}, measured {measured:.3}", limit.limit, limit.value),
            None => format!("{} is {}, not measured", limit.limit, limit.value),
        })
        .collect()
}
