//! Another client's results as rows of ours, marked with their source.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::import::{Client, Recording, read_result};
use super::load::{ClientCost, LoadOutcome, write_samples};
use super::metrics::{Distribution, RowMetrics, SloLimits, summarize};
use super::row::{Artifacts, Row, RowHardware, RowSla, RowStatus, Timing, Workload};
use super::rows_file;
use super::session::Phase;
use crate::http::PoolCounts;
use crate::job::now;
use crate::{disk, sha256};

/// Result files to turn into rows.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub files: Vec<ImportFile>,
    /// The rows file that is added to; raw samples go beside it.
    pub rows: PathBuf,
}

/// One result file of `vllm bench serve` or `sglang.bench_serving`.
#[derive(Debug, Clone)]
pub struct ImportFile {
    pub path: PathBuf,
    /// The framework that was measured; none: by what the client was told.
    pub framework: Option<String>,
    /// None: by the median lengths, such as `in1000-out1000`.
    pub scenario: Option<String>,
}

/// The rows that an import gave.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImportRecord {
    /// Names the import in the rows; the same files give the same.
    pub job_id: String,
    pub rows: Vec<ImportedRow>,
    pub candidates_path: PathBuf,
    pub warnings: Vec<String>,
    pub next: String,
}

/// One row in brief.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ImportedRow {
    pub framework: String,
    pub scenario: String,
    pub repeat: u32,
    /// The program that measured it.
    pub client: String,
    pub request_throughput: Option<f64>,
    pub total_token_throughput: Option<f64>,
    pub p50_ttft_ms: Option<f64>,
    pub p50_tpot_ms: Option<f64>,
}

/// Reads the files and appends their runs as rows; files that were imported
/// before are not added again. Runs of one framework and scenario become
/// repeats, in the order of the files.
pub fn import_results(request: &ImportRequest) -> Result<ImportRecord, BenchError> {
    let job_id = import_id(request)?;
    let mut rows = rows_file::of_job(&request.rows, &job_id)?;
    let mut warnings = Vec::new();
    if rows.is_empty() {
        for file in &request.files {
            for recording in read_result(&file.path)? {
                let row = row(request, file, &recording, &job_id, &rows, &mut warnings)?;
                rows_file::append(&request.rows, &row)?;
                rows.push(row);
            }
        }
    } else {
        warnings.push(format!(
            "these files are in {} already; nothing was added",
            request.rows.display()
        ));
    }
    warnings.extend(by_several_clients(&rows));
    let has_sglang = rows.iter().any(|row| row.framework == "sglang");
    let target = match rows.first() {
        Some(first) if !has_sglang => first.framework.as_str(),
        _ => "sglang",
    };
    Ok(ImportRecord {
        next: format!(
            "check_gap {{\"rows\": \"{}\", \"target\": \"{target}\"}}",
            request.rows.display()
        ),
        job_id,
        rows: rows.iter().map(brief).collect(),
        candidates_path: request.rows.clone(),
        warnings,
    })
}

/// Two engines, each measured by another client, do not compare.
fn by_several_clients(rows: &[Row]) -> Option<String> {
    let mut clients: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.client.as_deref())
        .collect();
    clients.sort_unstable();
    clients.dedup();
    (clients.len() > 1).then(|| {
        format!(
            "these runs are by {}: rows of different clients do not compare, their prompts and \
             definitions differ; a gap between them is refused as unfair",
            clients.join(" and ")
        )
    })
}

/// A name made of what the files hold and what they are said to be.
fn import_id(request: &ImportRequest) -> Result<String, BenchError> {
    let mut facts = String::new();
    for file in &request.files {
        let content = sha256::hex(&disk::read(&file.path)?);
        facts.push_str(&format!(
            "{content} {:?} {:?}\n",
            file.framework, file.scenario
        ));
    }
    Ok(format!("import-{}", &sha256::hex(facts.as_bytes())[..12]))
}

fn client_name(client: Client) -> &'static str {
    match client {
        Client::VllmBench => "vllm bench serve",
        Client::SglangBench => "sglang.bench_serving",
    }
}

fn framework_of(file: &ImportFile, recording: &Recording) -> String {
    let told = recording.backend.as_deref().unwrap_or_default();
    file.framework.clone().unwrap_or_else(|| {
        let known = crate::engine::names().find(|name| told.starts_with(name));
        match (known, recording.client) {
            (Some(name), _) => name.to_owned(),
            (None, Client::VllmBench) => "vllm".to_owned(),
            (None, Client::SglangBench) => "sglang".to_owned(),
        }
    })
}

fn row(
    request: &ImportRequest,
    file: &ImportFile,
    recording: &Recording,
    job_id: &str,
    before: &[Row],
    warnings: &mut Vec<String>,
) -> Result<Row, BenchError> {
    let framework = framework_of(file, recording);
    let prompt = Lengths::of(recording.input_lens.as_deref().unwrap_or_default());
    let output = Lengths::of(&recording.output_lens);
    let scenario = file.scenario.clone().unwrap_or_else(|| {
        let tokens = |lengths: &Lengths| {
            lengths
                .p50
                .map_or("?".to_owned(), |p50| format!("{p50:.0}"))
        };
        format!("in{}-out{}", tokens(&prompt), tokens(&output))
    });
    let same = |row: &&Row| row.framework == framework && row.workload.scenario == scenario;
    let repeat = before.iter().filter(same).count() as u32 + 1;
    let raw = request
        .rows
        .with_file_name("imported")
        .join(format!("{job_id}-{}.jsonl.zst", before.len() + 1));
    let outcome = outcome(recording);
    disk::create_dir(raw.parent().unwrap_or(Path::new(".")))?;
    write_samples(&raw, &outcome.samples)
        .map_err(|error| BenchError::Inspection(error.to_string()))?;
    let mut own = Vec::new();
    if recording.starts_are_guessed() {
        own.push(
            "the client does not record when requests were sent; that is taken from the load"
                .to_owned(),
        );
    }
    if recording.failed > 0 {
        own.push(format!(
            "{} requests failed; the client tells nothing of them",
            recording.failed
        ));
    }
    warnings.extend(
        own.iter()
            .map(|warning| format!("{}: {warning}", file.path.display())),
    );
    let metrics = metrics(recording, &outcome);
    Ok(Row {
        client: Some(client_name(recording.client).to_owned()),
        candidate_id: "imported".to_owned(),
        model: recording.model.clone().unwrap_or_default(),
        status: RowStatus::Ok,
        repeat,
        phase: Phase::Measure,
        job_id: job_id.to_owned(),
        time: now(),
        hardware: RowHardware {
            gpu_count: 1,
            ..RowHardware::default()
        },
        sla: RowSla {
            passed: true,
            ..RowSla::default()
        },
        key: sha256::hex(format!("{job_id} {framework} {scenario} {repeat}").as_bytes()),
        workload: workload(recording, scenario, &prompt, &output),
        metrics: Some(metrics),
        artifacts: Artifacts {
            raw_result: Some(raw),
            ..Artifacts::default()
        },
        benchmark_command: client_name(recording.client).to_owned(),
        warnings: own,
        timing: Timing {
            run_s: recording.duration_s,
            ..Timing::default()
        },
        framework,
        ..Row::default()
    })
}

fn outcome(recording: &Recording) -> LoadOutcome {
    LoadOutcome {
        samples: recording.samples(),
        wall_s: recording.duration_s,
        started_unix_s: 0.0,
        request_rate: recording.request_rate,
        max_concurrency: recording.max_concurrency.map(|most| most as usize),
        connections: PoolCounts::default(),
        client: ClientCost::default(),
        cancelled: false,
    }
}

/// Latencies from the samples, throughputs over the client's own span.
fn metrics(recording: &Recording, outcome: &LoadOutcome) -> RowMetrics {
    let mut metrics = summarize(outcome, &SloLimits::default()).row;
    let per_second =
        |count: f64| (recording.duration_s > 0.0).then(|| count / recording.duration_s);
    let output = recording.output_lens.iter().sum::<u64>() as f64;
    let prompt = recording
        .input_lens
        .as_ref()
        .map(|lens| lens.iter().sum::<u64>() as f64);
    metrics.request_throughput = per_second(recording.completed as f64);
    metrics.output_token_throughput = per_second(output);
    metrics.total_token_throughput = prompt.and_then(|prompt| per_second(prompt + output));
    let all = recording.completed + recording.failed;
    metrics.success_rate = (all > 0).then(|| recording.completed as f64 / all as f64);
    metrics
}

struct Lengths {
    p50: Option<f64>,
    p95: Option<f64>,
}

impl Lengths {
    fn of(lengths: &[u64]) -> Self {
        let spread = Distribution::new(lengths.iter().map(|length| *length as f64));
        Self {
            p50: spread.percentile(50.0),
            p95: spread.percentile(95.0),
        }
    }
}

fn workload(
    recording: &Recording,
    scenario: String,
    prompt: &Lengths,
    output: &Lengths,
) -> Workload {
    Workload {
        kind: "imported".to_owned(),
        scenario,
        input_len_p50: prompt.p50,
        input_len_p95: prompt.p95,
        output_len_p50: output.p50,
        output_len_p95: output.p95,
        num_prompts: (recording.completed + recording.failed) as u32,
        request_rate: recording.request_rate,
        max_concurrency: recording.max_concurrency,
        ..Workload::default()
    }
}

fn brief(row: &Row) -> ImportedRow {
    let metrics = row.metrics.as_ref();
    ImportedRow {
        framework: row.framework.clone(),
        scenario: row.workload.scenario.clone(),
        repeat: row.repeat,
        client: row.client.clone().unwrap_or_default(),
        request_throughput: metrics.and_then(|metrics| metrics.request_throughput),
        total_token_throughput: metrics.and_then(|metrics| metrics.total_token_throughput),
        p50_ttft_ms: metrics.and_then(|metrics| metrics.p50_ttft_ms),
        p50_tpot_ms: metrics.and_then(|metrics| metrics.p50_tpot_ms),
    }
}
