//! The one shape in which every failure reaches a person or an agent.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stable names of everything that can go wrong; scripts and agents match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultCode {
    /// The arguments of a call are missing, unknown or out of range.
    InvalidArgument,
    /// A named file or folder does not exist or cannot be read.
    NotReadable,
    /// A file was read, but is not what it should be.
    InvalidInput,
    /// No repeating layers in a trace, or none in the pass that was asked for.
    LayersNotFound,
    /// A benchmark plan that cannot be used.
    InvalidPlan,
    /// A program that a command names is not installed.
    CommandNotFound,
    /// A command could not be started.
    LaunchFailed,
    /// Another process or job holds a GPU that the plan names.
    GpuBusy,
    /// No usable project folder is known; pass `workspace`.
    WorkspaceRequired,
    /// Something must be asked of the user.
    NeedsInput,
    /// No campaign has that id or root.
    CampaignUnknown,
    /// Several campaigns are open; name one.
    CampaignAmbiguous,
    /// The event log was changed by hand.
    LogTampered,
    /// The evidence does not allow this step; `gate` and `missing` say why.
    GateRefused,
    /// No job has that id, or its folder is gone.
    JobUnknown,
    /// A file of a job folder was changed by hand.
    JobTampered,
    /// Writing failed: no space, no permission, or the folder vanished.
    NotWritable,
    /// The host's project folder is not the checkout that the loop works on.
    ProjectMismatch,
    /// A loop runtime was not set up, or not as it must be.
    LoopSetupFailed,
    /// No engine answers at an address.
    EngineUnreachable,
    /// The engine's host cannot be reached, or lets nobody in.
    HostUnreachable,
    /// The engine's host was reached, but cannot run a job.
    HostUnusable,
    /// The host or its scheduler ended a task before it was done.
    TaskLost,
    /// The engine ended, or failed its requests, while it was needed.
    EngineDied,
    /// The engine has no profiler, or it did not start or stop.
    ProfilerUnavailable,
    /// A profiler's trace files did not come, or not whole.
    TraceIncomplete,
    /// Too little space for what is to be written.
    DiskTooSmall,
    /// A defect of this program; please report it.
    Internal,
}

/// A failure as it is shown: what happened, what to do, and what proves it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Stable snake_case name of the failure.
    pub error: FaultCode,
    /// What happened and where.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the same call may succeed later without a change.
    pub retryable: bool,
    /// Files or facts that show it.
    #[serde(default)]
    pub evidence: Vec<String>,
    #[serde(flatten)]
    pub refusal: Option<Box<Refusal>>,
}

/// Why a gate refused a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The gate.
    pub gate: String,
    /// What it waits for. An item may begin with a stable word.
    pub missing: Vec<String>,
}

impl Fault {
    /// A failure that a repeat of the same call will not mend.
    pub fn new(error: FaultCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
            hint: hint.into(),
            retryable: false,
            evidence: Vec::new(),
            refusal: None,
        }
    }

    /// A step that a gate does not allow yet.
    pub fn refused(gate: impl Into<String>, missing: Vec<String>, next: impl Into<String>) -> Self {
        let gate = gate.into();
        let message = format!("gate `{gate}` refuses this step: {}", missing.join("; "));
        Self {
            refusal: Some(Box::new(Refusal { gate, missing })),
            ..Self::new(FaultCode::GateRefused, message, next)
        }
    }

    /// Marks the failure as one that may pass.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Adds a file or fact that shows the failure.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }
}

impl From<crate::disk::DiskError> for Fault {
    fn from(error: crate::disk::DiskError) -> Self {
        let path: PathBuf = error.path().to_path_buf();
        let (code, hint) = if error.is_write() {
            (
                FaultCode::NotWritable,
                "free some space or choose a folder that this user may write, then repeat the call",
            )
        } else {
            (FaultCode::NotReadable, "check the path and its permissions")
        };
        Fault::new(code, error.to_string(), hint).with_evidence(path.display().to_string())
    }
}
