//! `sota-loop ncu`: what a kernel report says, and the one edit that follows.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::{self, Output};
use super::patience::patiently;
use crate::chart::short;
use crate::detail::Detail;
use crate::fault::{Fault, FaultCode};
use crate::ncu::{self, CollectRequest, DigestRecord, DigestRequest, TriedEdit};

const EXAMPLES: &str = "\
Examples:
  sota-loop ncu before.ncu-rep
  sota-loop ncu before.ncu-rep after.ncu-rep --kernel rmsnorm --out digests/v2
  sota-loop ncu --collect --kernel regex:^rmsnorm$ -- ./harness --rows 4096
  sota-loop ncu --test-counters -- ./harness

Reports are .ncu-rep files, or what `ncu --import FILE --csv --page raw` (or details)
printed. docs/ncu.md explains every gate.";

/// Digest Nsight Compute reports to exactly one next edit.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NcuArgs {
    /// Report of the kernel.
    #[arg(required_unless_present_any = ["collect", "test_counters"])]
    baseline: Option<PathBuf>,
    /// Report of the same kernel after an edit.
    candidate: Option<PathBuf>,
    /// Regular expression on kernel names (with --collect: ncu's own syntax).
    #[arg(long)]
    kernel: Option<String>,
    /// Source file of the kernel, or the folder that holds it.
    #[arg(long)]
    source: Option<PathBuf>,
    /// Rule whose edit was tried without effect; may be repeated.
    #[arg(long, value_name = "RULE")]
    tried: Vec<String>,
    /// Show every kernel, metric and rule.
    #[arg(long)]
    full: bool,
    /// Folder to write digest.md and digest.json into.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print the ncu command that collects a full report of the harness.
    #[arg(long, conflicts_with = "test_counters")]
    collect: bool,
    /// Test here whether this user may read performance counters.
    #[arg(long, requires = "harness")]
    test_counters: bool,
    /// Seconds until the counter test gives up.
    #[arg(long, default_value_t = 120)]
    timeout_s: u64,
    /// The program that launches the kernel alone, with its arguments.
    #[arg(last = true)]
    harness: Vec<String>,
}

pub fn run(args: NcuArgs, output: &Output) -> Result<(), Fault> {
    if args.test_counters {
        let permission = ncu::test_permission(&args.harness, Duration::from_secs(args.timeout_s))?;
        return output.record(&permission, |permission| {
            let counters = format!("{:?}", permission.counters).to_lowercase();
            let evidence: String = permission
                .evidence
                .iter()
                .map(|line| format!("  {line}\n"))
                .collect();
            format!("counters: {counters}\n{evidence}next: {}", permission.hint)
        });
    }
    if args.collect {
        let argv = ncu::collect_argv(&CollectRequest {
            kernel: args.kernel.unwrap_or_default(),
            harness: args.harness,
            ..CollectRequest::default()
        });
        return output.record(&argv, |argv| argv.join(" "));
    }
    let Some(baseline) = args.baseline else {
        return Err(Fault::new(
            FaultCode::InvalidArgument,
            "no report is given",
            EXAMPLES,
        ));
    };
    let request = DigestRequest {
        baseline,
        candidate: args.candidate,
        kernel: args.kernel,
        source: args.source,
        detail: if args.full {
            Detail::Full
        } else {
            Detail::Summary
        },
        tried: args
            .tried
            .into_iter()
            .map(|rule| TriedEdit {
                rule,
                kernel: String::new(),
            })
            .collect(),
    };
    let inputs = [
        Some(request.baseline.as_path()),
        request.candidate.as_deref(),
    ];
    let mut record = patiently(output, "reading reports", &inputs, || ncu::digest(&request))?;
    if let Some(folder) = args.out {
        ncu::write(&mut record, &folder)?;
    }
    output.record(&record, human)
}

fn human(record: &DigestRecord) -> String {
    let mut text = format!("{}\n{}\n", record.environment.device, kernels(record));
    if let Some(comparison) = &record.comparison {
        let verdict = serde_json::to_value(comparison.verdict).unwrap_or_default();
        text.push_str(&format!(
            "\n{}: {} to {} us, ratio {} (noise ±{:.1} %)\n",
            verdict.as_str().unwrap_or_default().replace('_', " "),
            shown(comparison.baseline_us),
            shown(comparison.candidate_us),
            comparison
                .duration_ratio
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            comparison.noise_pct,
        ));
    }
    if let Some(edit) = &record.next_edit {
        let head = if edit.stop { "stop" } else { "next edit" };
        text.push_str(&format!(
            "\n{head} ({}, rule {}): {}\n",
            edit.gate, edit.rule, edit.change
        ));
        for evidence in &edit.evidence {
            text.push_str(&format!(
                "  {} {} {}\n",
                short(evidence.value),
                evidence.unit,
                evidence.metric
            ));
        }
        if let Some(spot) = &edit.location
            && let (Some(file), Some(line)) = (&spot.file, spot.line)
        {
            text.push_str(&format!(
                "  at {file}:{line}  {}\n",
                spot.text.as_deref().unwrap_or_default()
            ));
        }
        text.push_str(&format!("expected: {}\n", edit.expected));
        if !edit.untested.is_empty() {
            text.push_str(&format!(
                "not ruled out, metrics missing: {}\n",
                edit.untested.join(", ")
            ));
        }
    }
    for warning in &record.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    if !record.collect.is_empty() {
        text.push_str(&format!("collect: {}\n", record.collect.join(" ")));
    }
    if let Some(path) = &record.digest_path {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    format!("{}\nnext: {}", output::prose(text.trim_end()), record.next)
}

fn kernels(record: &DigestRecord) -> comfy_table::Table {
    let mut header = vec![
        "kernel",
        "n",
        "us",
        "grid",
        "block",
        "bound",
        "roof",
        "why",
        "top stall",
    ];
    let why = 7;
    if output::is_narrow() {
        header.truncate(why);
    }
    let mut table = output::aligned(&header, &[1, 2]);
    for kernel in &record.kernels {
        let mut cells = ncu::row(kernel).to_vec();
        cells.truncate(header.len());
        output::line(&mut table, cells);
    }
    table
}

fn shown(us: Option<f64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}"))
}
