//! Whether this user may read the GPU's performance counters.
//!
//! The driver keeps them for administrators unless it is told otherwise; ncu
//! then fails with `ERR_NVGPUCTRPERM`. See
//! <https://developer.nvidia.com/ERR_NVGPUCTRPERM>.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::NcuError;

/// Where the driver says whether counters are for administrators only.
const DRIVER_PARAMS: &str = "/proc/driver/nvidia/params";
/// The most output of a test run that is kept.
const MAX_OUTPUT: u64 = 1 << 20;

/// What a test run of ncu showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counters {
    Allowed,
    /// `ERR_NVGPUCTRPERM`: a blocker that only an administrator can lift.
    Denied,
    /// The run failed for another reason, or profiled nothing.
    #[default]
    Unknown,
}

/// The test and its evidence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CounterPermission {
    pub counters: Counters,
    pub argv: Vec<String>,
    /// Exit status of ncu; absent when it was killed at the deadline.
    pub exit_code: Option<i32>,
    /// The lines of ncu's output that decide.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub hint: String,
}

/// The smallest profile that needs the counters: one metric of one launch of
/// the harness. It can be run wherever the kernel would run.
pub fn permission_argv(harness: &[String]) -> Vec<String> {
    [
        "ncu",
        "--metrics",
        "sm__cycles_elapsed.max",
        "--launch-count",
        "1",
        "--print-summary",
        "none",
    ]
    .into_iter()
    .map(str::to_string)
    .chain(harness.iter().cloned())
    .collect()
}

/// Reads the outcome of [`permission_argv`] from its exit status and output.
pub fn judge_permission(
    argv: Vec<String>,
    exit_code: Option<i32>,
    output: &str,
) -> CounterPermission {
    let telling: Vec<String> = output
        .lines()
        .filter(|line| {
            line.contains("==ERROR==")
                || line.contains("ERR_NVGPUCTRPERM")
                || line.contains("==WARNING== No kernels")
        })
        .take(8)
        .map(str::to_string)
        .collect();
    let denied = output.contains("ERR_NVGPUCTRPERM");
    let profiled =
        output.contains("sm__cycles_elapsed.max") || output.contains("==PROF== Profiling");
    let (counters, hint) = if denied {
        (
            Counters::Denied,
            "ask an administrator to load the driver with NVreg_RestrictProfilingToAdminUsers=0, or run as root or with CAP_SYS_ADMIN",
        )
    } else if exit_code == Some(0) && profiled && telling.is_empty() {
        (Counters::Allowed, "collect with ncu here")
    } else {
        (
            Counters::Unknown,
            "read the evidence: the harness must launch at least one kernel and exit by itself",
        )
    };
    CounterPermission {
        counters,
        argv,
        exit_code,
        evidence: telling,
        hint: hint.to_string(),
    }
}

/// Runs the test on this host and ends it at the deadline.
pub fn test_permission(
    harness: &[String],
    deadline: Duration,
) -> Result<CounterPermission, NcuError> {
    let argv = permission_argv(harness);
    let (exit_code, output) = run(&argv, deadline)?;
    let mut permission = judge_permission(argv, exit_code, &output);
    if let Some(line) = driver_setting() {
        permission.evidence.push(line);
    }
    Ok(permission)
}

/// The driver's own word on it, where it can be read.
fn driver_setting() -> Option<String> {
    let params = std::fs::read_to_string(DRIVER_PARAMS).ok()?;
    let line = params
        .lines()
        .find(|line| line.starts_with("RmProfilingAdminOnly"))?;
    Some(format!("{DRIVER_PARAMS}: {line}"))
}

fn run(argv: &[String], deadline: Duration) -> Result<(Option<i32>, String), NcuError> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| NcuError::Tool("the command is empty".to_string()))?;
    let fail = |error: std::io::Error| NcuError::Tool(format!("{program}: {error}"));
    let mut log = tempfile_pair().map_err(fail)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.0.try_clone().map_err(fail)?)
        .stderr(log.0.try_clone().map_err(fail)?)
        .spawn()
        .map_err(fail)?;
    let started = Instant::now();
    let exit_code = loop {
        if let Some(status) = child.try_wait().map_err(fail)? {
            break status.code();
        }
        if started.elapsed() >= deadline {
            child.kill().map_err(fail)?;
            child.wait().map_err(fail)?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut output = Vec::new();
    (&mut log.1)
        .take(MAX_OUTPUT)
        .read_to_end(&mut output)
        .map_err(fail)?;
    Ok((exit_code, String::from_utf8_lossy(&output).into_owned()))
}

/// A nameless file to write to and to read from the start.
fn tempfile_pair() -> std::io::Result<(std::fs::File, std::fs::File)> {
    let path = std::env::temp_dir().join(
        format!(".sota-loop-ncu-{}-{:?}", std::process::id(), Instant::now())
            .replace([' ', '{', '}', ':', ','], "_"),
    );
    let writer = std::fs::OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(&path)?;
    let reader = std::fs::File::open(&path);
    std::fs::remove_file(&path)?;
    Ok((writer, reader?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = "==PROF== Connected to process 7 (/bin/k)\n==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the target device 0.\n";

    #[test]
    fn the_error_is_recognised() {
        let denied = judge_permission(vec![], Some(1), DENIED);
        assert_eq!(denied.counters, Counters::Denied);
        assert!(denied.evidence[0].contains("ERR_NVGPUCTRPERM"));
        let fine = "==PROF== Profiling \"k\" - 0: 0%....50%....100% - 1 pass\n";
        assert_eq!(
            judge_permission(vec![], Some(0), fine).counters,
            Counters::Allowed
        );
        let none = "==WARNING== No kernels were profiled.\n";
        assert_eq!(
            judge_permission(vec![], Some(0), none).counters,
            Counters::Unknown
        );
    }

    #[test]
    fn a_run_ends_at_its_deadline_and_keeps_its_output() {
        let argv = |script: &str| ["sh", "-c", script].map(str::to_string).to_vec();
        let (code, output) = run(
            &argv("echo out; echo err >&2; exit 3"),
            Duration::from_secs(20),
        )
        .unwrap();
        assert_eq!(code, Some(3));
        assert!(output.contains("out") && output.contains("err"), "{output}");
        let (code, _) = run(&argv("exec sleep 60"), Duration::from_millis(50)).unwrap();
        assert_eq!(code, None);
        assert!(
            run(
                &["no-such-program-here".to_string()],
                Duration::from_secs(1)
            )
            .is_err()
        );
    }
}
