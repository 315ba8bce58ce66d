//! `ncu_digest`: kernel reports to exactly one next edit.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::scope::{Noted, campaign_of};
use crate::campaign;
use crate::fault::Fault;
use crate::mcp::{Hints, Tool, ToolContext};
use crate::ncu::{self, DigestRecord, DigestRequest};

pub struct NcuDigest;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Arguments {
    /// Id or root of a campaign: the digest is written there, and edits that its
    /// ledgers hold as tried are not proposed again; default: the one open
    /// campaign of the workspace.
    #[serde(default)]
    pub campaign: Option<String>,
    /// Absolute project folder; default: the one that the host named.
    #[serde(default)]
    pub workspace: Option<PathBuf>,
    #[serde(flatten)]
    pub request: DigestRequest,
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
    type Record = Noted<DigestRecord>;

    async fn call(
        arguments: Arguments,
        context: ToolContext,
    ) -> Result<Noted<DigestRecord>, Fault> {
        let project_dir = context.project_dir.clone();
        context
            .blocking(move || run(arguments, project_dir.as_deref()))
            .await
    }
}

fn run(arguments: Arguments, project_dir: Option<&Path>) -> Result<Noted<DigestRecord>, Fault> {
    let campaign = match &arguments.campaign {
        Some(name) => campaign_of(arguments.workspace.as_deref(), project_dir, Some(name))?,
        // A digest needs no workspace; one that cannot be found is no failure.
        None => campaign_of(arguments.workspace.as_deref(), project_dir, None).unwrap_or(None),
    };
    let mut request = arguments.request;
    if let Some(campaign) = &campaign {
        request
            .tried
            .extend(campaign::tried_edits(&campaign.state()?));
    }
    let mut noted = Noted::alone(ncu::digest(&request)?);
    if let Some(campaign) = campaign {
        let folder = ncu::next_version(&campaign.root.join("kernel/ncu-digests"));
        ncu::write(&mut noted.record, &folder)?;
        let candidate = request.candidate.as_deref();
        let appended =
            campaign::record_digest(&campaign, &request.baseline, candidate, &noted.record)?;
        noted.event = Some(appended.event.seq);
    }
    Ok(noted)
}
