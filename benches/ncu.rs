//! Seconds and peak memory of digesting a large report:
//! `SOTA_TEST_DATA=... cargo bench --bench ncu`, or `cargo bench --bench ncu -- REPORT`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sota_loop::detail::Detail;
use sota_loop::ncu::{DigestRequest, digest};

const LIMIT: Duration = Duration::from_millis(300);
const LIMIT_MB: f64 = 100.0;

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let report = match (given, std::env::var_os("SOTA_TEST_DATA")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(root)) => Path::new(&root).join("ncu/torch_mix.ncu-rep"),
        (None, None) => {
            println!(
                "not run: set SOTA_TEST_DATA to the folder of whole recordings, or name a report"
            );
            return Ok(());
        }
    };
    let bytes = std::fs::metadata(&report)?.len();
    let request = DigestRequest {
        baseline: report.clone(),
        detail: Detail::Full,
        ..DigestRequest::default()
    };
    let mut times = Vec::new();
    let mut launches = 0;
    for _ in 0..11 {
        let started = Instant::now();
        let record = digest(&request)?;
        times.push(started.elapsed());
        launches = record.kernels.iter().map(|kernel| kernel.launches).sum();
    }
    times.sort();
    let peak = peak_mb()?;
    println!(
        "{}: {:.1} MB, {launches} launches: median {:.3} s (limit {:.1}), best {:.3} s, peak memory {peak:.0} MB (limit {LIMIT_MB:.0})",
        report.display(),
        bytes as f64 / 1e6,
        times[times.len() / 2].as_secs_f64(),
        LIMIT.as_secs_f64(),
        times[0].as_secs_f64(),
    );
    if times[times.len() / 2] > LIMIT || peak > LIMIT_MB {
        return Err("over the limit".into());
    }
    Ok(())
}

/// The most resident memory that this process has had.
fn peak_mb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .ok_or("no VmHWM")?;
    let kilobytes: f64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
