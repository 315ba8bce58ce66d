//! The `ncu` command that collects what a report lacks.
//!
//! ncu replays a kernel once per pass, so it must wrap a program that launches
//! the kernel alone: a server with several ranks would deadlock in its first
//! collective, and its other kernels would be replayed too.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to collect, and around which program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// Kernel to profile: a name, or `regex:...`; empty: all.
    #[serde(default)]
    pub kernel: String,
    /// Sections to collect, e.g. `SchedulerStats`; empty: `--set full`.
    #[serde(default)]
    pub sections: Vec<String>,
    /// Launches to skip, so that warm-up is not profiled (default 1).
    #[serde(default = "one")]
    pub skip: u32,
    /// Launches to profile (default 3: a median and a spread).
    #[serde(default = "three")]
    pub count: u32,
    /// Report to write (default `kernel.ncu-rep`).
    #[serde(default)]
    pub output: PathBuf,
    /// The program that launches the kernel alone, with its arguments.
    #[serde(default)]
    pub harness: Vec<String>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

/// The exact argument vector; where no harness is given, `HARNESS` stands for it.
pub fn argv(request: &CollectRequest) -> Vec<String> {
    let mut argv: Vec<String> = vec!["ncu".into()];
    let mut option = |name: &str, value: String| {
        argv.push(name.into());
        if !value.is_empty() {
            argv.push(value);
        }
    };
    if request.sections.is_empty() {
        option("--set", "full".into());
    }
    for section in &request.sections {
        option("--section", section.clone());
    }
    if !request.sections.is_empty() {
        // Time, throughput and launch facts are always needed to read the rest.
        for always in ["SpeedOfLight", "LaunchStats", "Occupancy"] {
            if !request.sections.iter().any(|section| section == always) {
                option("--section", always.into());
            }
        }
    }
    if !request.kernel.is_empty() {
        option("--kernel-name", request.kernel.clone());
    }
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    option("--launch-skip", or(request.skip, 1).to_string());
    option("--launch-count", or(request.count, 3).to_string());
    option("--import-source", "on".into());
    option("--force-overwrite", String::new());
    let output = if request.output.as_os_str().is_empty() {
        "kernel.ncu-rep".to_string()
    } else {
        request.output.display().to_string()
    };
    option("--export", output);
    if request.harness.is_empty() {
        argv.push("HARNESS".into());
    } else {
        argv.extend(request.harness.iter().cloned());
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_whole() {
        let request = CollectRequest {
            kernel: "regex:^rmsnorm$".into(),
            sections: vec!["SchedulerStats".into()],
            harness: vec!["./harness".into(), "--rows".into(), "4096".into()],
            ..CollectRequest::default()
        };
        assert_eq!(
            argv(&request).join(" "),
            "ncu --section SchedulerStats --section SpeedOfLight --section LaunchStats --section Occupancy \
             --kernel-name regex:^rmsnorm$ --launch-skip 1 --launch-count 3 --import-source on --force-overwrite \
             --export kernel.ncu-rep ./harness --rows 4096"
        );
        assert!(
            argv(&CollectRequest::default())
                .join(" ")
                .starts_with("ncu --set full")
        );
    }
}
