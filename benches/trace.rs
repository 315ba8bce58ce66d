//! What analysing a trace costs, against unpacking alone.
//!
//! ```text
//! cargo bench --bench trace                     synthetic traces, 200 thousand and 2 million events
//! cargo bench --bench trace -- FILE...          the named traces
//! cargo bench --bench trace -- --write FILE N   only write a synthetic trace of N events
//! ```
//!
//! Each measurement runs in a process of its own, so that its CPU time and
//! peak memory are its own: user and system seconds over all threads, and the
//! peak resident set. A published Python analyser of such traces took 210 s
//! and 3.1 GB for the 2-million-event trace, and 33 s and 1.16 GB for a real
//! one of 893,360 events.

#[path = "support/synthetic_trace.rs"]
mod synthetic_trace;

use std::env;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sota_loop::trace::{self, ReadOptions};
use sota_loop::triage::{self, TriageRequest};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Events of the two synthetic traces, one ten times the other.
const SIZES: [u64; 2] = [200_000, 2_000_000];

fn main() -> Outcome<()> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--measure", what, path] => measure(what, Path::new(path)),
        ["--write", path, events] => {
            let written = write_synthetic(Path::new(path), events.parse()?)?;
            println!("{path}: {written} events");
            Ok(())
        }
        [] => synthetic(),
        paths => paths
            .iter()
            .try_for_each(|path| report(Path::new(path)).map(drop)),
    }
}

/// Measures both synthetic traces and the growth from one to the other.
fn synthetic() -> Outcome<()> {
    let folder = env::temp_dir().join(format!("sota-loop-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut cpu = Vec::new();
    for events in SIZES {
        let path = folder.join(format!("{events}.trace.json.gz"));
        let written = write_synthetic(&path, events)?;
        println!("synthetic, {written} events");
        cpu.push(report(&path)?);
    }
    std::fs::remove_dir_all(&folder)?;
    println!("10 times the events: {:.1} times the CPU", cpu[1] / cpu[0]);
    Ok(())
}

fn write_synthetic(path: &Path, events: u64) -> Outcome<u64> {
    let mut out = BufWriter::with_capacity(
        1 << 20,
        GzEncoder::new(File::create(path)?, Compression::new(6)),
    );
    let written = synthetic_trace::write(&mut out, events)?;
    out.flush()?;
    out.into_inner()?.finish()?;
    Ok(written)
}

/// Prints all measurements of a trace; gives back the CPU seconds of the analysis.
fn report(path: &Path) -> Outcome<f64> {
    println!("{}", path.display());
    let mut analysis = 0.0;
    let mut floor = 0.0;
    println!(
        "  unpacked {:.0} MB",
        trace::unpack_only(path)? as f64 / 1e6
    );
    for what in ["unpack", "read", "analyze"] {
        let (cpu, peak_mb) = in_own_process(what, path)?;
        println!("  {what:<8} {cpu:6.2} s CPU {peak_mb:7.0} MB peak");
        match what {
            "unpack" => floor = cpu,
            "analyze" => analysis = cpu,
            _ => {}
        }
    }
    println!("  analysis / unpacking alone: {:.2}", analysis / floor);
    Ok(analysis)
}

fn in_own_process(what: &str, path: &Path) -> Outcome<(f64, f64)> {
    let output = Command::new(env::current_exe()?)
        .arg("--measure")
        .arg(what)
        .arg(path)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(cpu)), Some(Ok(peak))) => Ok((cpu, peak)),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// Does one piece of work and prints CPU seconds and peak megabytes.
fn measure(what: &str, path: &Path) -> Outcome<()> {
    match what {
        "unpack" => drop(trace::unpack_only(path)?),
        "read" => drop(trace::read(path, &ReadOptions::default())?),
        _ => drop(triage::analyze(&TriageRequest {
            input: PathBuf::from(path),
            ..TriageRequest::default()
        })?),
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!(
        "{} {}",
        cpu_us as f64 / 1e6,
        usage.max_rss() as f64 / 1024.0
    );
    Ok(())
}
