//! `sota-loop import`: rows out of what other clients measured.

use std::path::PathBuf;

use clap::Args;

use super::next_command::next_command;
use super::output::{self, Output};
use super::patience::patiently;
use crate::bench::{self, ImportFile, ImportRecord, ImportRequest};
use crate::fault::Fault;

const EXAMPLES: &str = "\
Examples:
  sota-loop import vllm_chat.json sglang_chat.jsonl
  sota-loop import vllm/chat=a.json sglang/chat=b.jsonl.gz --rows out/candidates.jsonl
  sota-loop gap imported.jsonl --target sglang

Reads `vllm bench serve --save-result --save-detailed` and `sglang.bench_serving
--output-file --output-details`. Each run of a file becomes a row with the name of its
client; latencies are computed again from the single requests, by our definitions.";

/// Make rows of the results of `vllm bench serve` and `sglang.bench_serving`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// Result files, plain or gzipped, each as FILE, FRAMEWORK=FILE or FRAMEWORK/SCENARIO=FILE.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Rows are added to this file.
    #[arg(long, default_value = "imported.jsonl")]
    rows: PathBuf,
}

pub fn run(args: ImportArgs, output: &Output) -> Result<(), Fault> {
    let request = ImportRequest {
        files: args.files.iter().map(|file| named(file)).collect(),
        rows: args.rows,
    };
    let files: Vec<_> = request
        .files
        .iter()
        .map(|file| Some(file.path.as_path()))
        .collect();
    let record = patiently(output, "reading results", &files, || {
        bench::import_results(&request)
    })?;
    output.record(&record, human)
}

/// A path may hold `=` itself; then it exists as a whole.
fn named(argument: &str) -> ImportFile {
    let whole = PathBuf::from(argument);
    match argument.split_once('=') {
        Some((name, path)) if !whole.exists() => {
            let (framework, scenario) = match name.split_once('/') {
                Some((framework, scenario)) => (framework, Some(scenario.to_owned())),
                None => (name, None),
            };
            ImportFile {
                path: path.into(),
                framework: Some(framework.to_owned()),
                scenario,
            }
        }
        _ => ImportFile {
            path: whole,
            framework: None,
            scenario: None,
        },
    }
}

fn human(record: &ImportRecord) -> String {
    let header = [
        "framework",
        "scenario",
        "repeat",
        "req/s",
        "tok/s",
        "TTFT ms",
        "TPOT ms",
    ];
    let mut table = output::aligned(&header, &[2, 3, 4, 5, 6]);
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    for row in &record.rows {
        table.add_row([
            row.framework.clone(),
            row.scenario.clone(),
            row.repeat.to_string(),
            number(row.request_throughput, 3),
            number(row.total_token_throughput, 1),
            number(row.p50_ttft_ms, 1),
            number(row.p50_tpot_ms, 2),
        ]);
    }
    let mut text = format!(
        "{table}\nTTFT and TPOT are medians.\nrows: {}\nnext: {}",
        record.candidates_path.display(),
        next_command(&record.next)
    );
    for warning in &record.warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text
}
