//! `ncu_digest`: kernel reports to exactly one next edit.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::campaign_of;
use crate::fault::Fault;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::ncu::{self, DigestRecord, DigestRequest, TriedEdit};

pub struct NcuDigest;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Absolute path of a `.ncu-rep` file, or of what `ncu --import FILE --csv --page raw|details` printed.
    pub baseline: PathBuf,
    /// The same kernel after an edit: gives a comparison and a verdict.
    #[serde(default)]
    pub candidate: Option<PathBuf>,
    /// Regular expression on kernel names; default: all kernels, the hottest gets the edit.
    #[serde(default)]
    pub kernel: Option<String>,
    /// Absolute path of the kernel's source file, or of a folder that holds it.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// Edits that were tried without effect; they are not proposed again.
    #[serde(default)]
    pub tried: Vec<TriedEdit>,
    /// Id or root of a campaign: the digest is written there; default: the one
    /// open campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(default)]
    pub detail: ncu::Detail,
}

impl Tool for NcuDigest {
    const NAME: &'static str = "ncu_digest";
    const TITLE: &'static str = "Digest kernel reports to one next edit";
    const DESCRIPTION: &'static str = "Reads Nsight Compute reports (.ncu-rep or ncu's CSV) without ncu or a GPU: bound class, stalls, occupancy, ncu's own rules; compares a candidate with a baseline; proposes exactly one edit with its evidence, or says stop at the roof. \
        Call it after profiling one kernel with ncu; for a whole server's time use `profile` first. \
        Returns kernels by time, the comparison's verdict, one next_edit, and commands that would collect what is missing; in a campaign also digest_path (kernel/ncu-digests/). \
        Example: {\"baseline\": \"/abs/before.ncu-rep\", \"candidate\": \"/abs/after.ncu-rep\", \"kernel\": \"rmsnorm\"}";
    const EXAMPLE: &'static str = r#"{"baseline": "/abs/before.ncu-rep"}"#;
    const HINTS: Hints = Hints {
        read_only: false,
        destructive: false,
        idempotent: false,
    };
    type Arguments = Arguments;
    type Record = DigestRecord;

    async fn call(arguments: Arguments, context: ToolContext) -> Result<DigestRecord, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<DigestRecord, Fault> {
    let campaign = match &arguments.campaign {
        Some(name) => campaign_of(arguments.workspace.as_deref(), project_dir, Some(name))?,
        // A digest needs no workspace; one that cannot be found is no failure.
        None => campaign_of(arguments.workspace.as_deref(), project_dir, None).unwrap_or(None),
    };
    let mut record = ncu::digest(&DigestRequest {
        baseline: arguments.baseline,
        candidate: arguments.candidate,
        kernel: arguments.kernel,
        source: arguments.source,
        detail: arguments.detail,
        tried: arguments.tried,
    })?;
    if let Some(campaign) = campaign {
        let folder = ncu::next_version(&campaign.root.join("kernel/ncu-digests"));
        ncu::write(&mut record, &folder)?;
    }
    Ok(record)
}
