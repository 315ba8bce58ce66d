//! Failures that the simulated engine can be told to show.

use std::str::FromStr;

use super::SimError;

/// One failure to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedFault {
    /// Runs out of GPU memory while loading, and exits with 1.
    OomAtLoad,
    /// Runs out of GPU memory when this many requests were accepted, and exits with 1.
    OomAfter(u64),
    /// Loads for ever.
    NeverReady,
    /// Goes on after SIGTERM.
    IgnoreSigterm,
    /// Exits without a word when this many tokens were generated.
    CrashAfter(u64),
    /// Answers every n-th request with status 500.
    ErrorEvery(u64),
    /// Cuts every n-th stream after a few tokens.
    CutEvery(u64),
    /// Answers `/start_profile` with status 500.
    ProfilerRefuses,
    /// Records, but writes no trace.
    NoTrace,
    /// Writes the first half of each trace.
    CutTrace,
    /// Exits without a word when a recording ends.
    CrashInProfile,
}

/// Names of the faults, as `--fault` takes them.
pub const FAULT_NAMES: &str = "oom-at-load, oom-after=REQUESTS, never-ready, ignore-sigterm, \
                               crash-after=TOKENS, error-every=REQUESTS, cut-every=REQUESTS, \
                               profiler-refuses, no-trace, cut-trace, crash-in-profile";

impl FromStr for PlannedFault {
    type Err = SimError;

    fn from_str(text: &str) -> Result<Self, SimError> {
        let unknown = || SimError::UnknownFault {
            text: text.to_owned(),
            known: FAULT_NAMES.to_owned(),
        };
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => {
                let number = number.parse().ok().filter(|n| *n > 0);
                (name, Some(number.ok_or_else(unknown)?))
            }
            None => (text, None),
        };
        match (name, number) {
            ("oom-at-load", None) => Ok(Self::OomAtLoad),
            ("never-ready", None) => Ok(Self::NeverReady),
            ("ignore-sigterm", None) => Ok(Self::IgnoreSigterm),
            ("profiler-refuses", None) => Ok(Self::ProfilerRefuses),
            ("no-trace", None) => Ok(Self::NoTrace),
            ("cut-trace", None) => Ok(Self::CutTrace),
            ("crash-in-profile", None) => Ok(Self::CrashInProfile),
            ("oom-after", Some(n)) => Ok(Self::OomAfter(n)),
            ("crash-after", Some(n)) => Ok(Self::CrashAfter(n)),
            ("error-every", Some(n)) => Ok(Self::ErrorEvery(n)),
            ("cut-every", Some(n)) => Ok(Self::CutEvery(n)),
            _ => Err(unknown()),
        }
    }
}
