//! What can go wrong with a loop and its runtime.

use std::path::PathBuf;

use crate::campaign::CampaignError;
use crate::disk::DiskError;
use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum RlcrError {
    #[error("{name} is not in {}, which {by} names{}", path.display(), missing(proof))]
    NoCompanion {
        name: String,
        path: PathBuf,
        by: String,
        /// The file that is missing; empty where the folder itself is.
        proof: String,
    },
    #[error("the plan's template names `{{{{{placeholder}}}}}`, which is no fact")]
    Template { placeholder: String },
    #[error("{}:{line}: {problem}", path.display())]
    StateFile {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("no Humanize runtime was found")]
    NoHumanize,
    #[error("Humanize needs {} on PATH", missing.join(", "))]
    HumanizeNeeds { missing: Vec<String> },
    #[error(
        "Humanize's hooks look only in the host's project folder {}, and the checkout is {}",
        project.display(), checkout.display()
    )]
    ProjectMismatch { project: PathBuf, checkout: PathBuf },
    #[error("{} {ended}:\n{output}", argv.join(" "))]
    Setup {
        argv: Vec<String>,
        /// For example `ended with exit status 1`.
        ended: String,
        output: String,
    },
    #[error("cannot start {}: {source}", program.display())]
    Start {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("the setup ended well, but {problem}")]
    SetupIncomplete { problem: String },
    #[error("the campaign names no checkout")]
    NoCheckout,
    #[error("the campaign is finished")]
    Finished,
    #[error("there is no local branch `{name}`")]
    NoBase { name: String, branches: Vec<String> },
    #[error("git {} in {} failed: {reason}", arguments.join(" "), checkout.display())]
    Git {
        checkout: PathBuf,
        arguments: Vec<String>,
        reason: String,
    },
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

fn missing(proof: &str) -> String {
    if proof.is_empty() {
        String::new()
    } else {
        format!(": there is no {proof}")
    }
}

impl From<RlcrError> for Fault {
    fn from(error: RlcrError) -> Self {
        let message = error.to_string();
        let invalid = |hint: &str| Fault::new(FaultCode::InvalidArgument, message.clone(), hint);
        match error {
            RlcrError::Campaign(error) => error.into(),
            RlcrError::Disk(error) => error.into(),
            RlcrError::NoCompanion { .. } => {
                invalid("name the folder that holds it, or leave the argument or variable out")
            }
            RlcrError::Template { .. } => Fault::new(
                FaultCode::Internal,
                message,
                "this is a defect of sota-loop; please report it",
            ),
            RlcrError::StateFile { path, line, .. } => Fault::new(
                FaultCode::InvalidInput,
                message,
                "the loop's runtime writes this file; restore it, or end that loop and start anew with campaign {\"action\": \"start_loop\"}",
            )
            .with_evidence(format!("{}:{line}", path.display())),
            RlcrError::NoHumanize => invalid(
                "install it, name its folder (`companions.humanize` or HUMANIZE_RUNTIME_ROOT), or pass \"runtime\": \"builtin\"",
            ),
            RlcrError::HumanizeNeeds { .. } => Fault::new(
                FaultCode::CommandNotFound,
                message,
                "install what is missing, or pass \"runtime\": \"builtin\"",
            ),
            RlcrError::ProjectMismatch { .. } => Fault::new(
                FaultCode::ProjectMismatch,
                message,
                "open the agent in the checkout, or pass \"runtime\": \"builtin\"",
            ),
            RlcrError::Setup { .. } => Fault::new(
                FaultCode::LoopSetupFailed,
                message,
                "mend what the script names and repeat the call; its refusal is never bypassed",
            ),
            RlcrError::Start { .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "check the path and its permissions",
            ),
            RlcrError::SetupIncomplete { .. } => Fault::new(
                FaultCode::LoopSetupFailed,
                message,
                "end that loop (Humanize: its cancel command; else rename its state.md), then repeat the call",
            ),
            RlcrError::NoCheckout => invalid(
                "open the campaign with `checkout`: the absolute folder of the target framework's git checkout",
            ),
            RlcrError::Finished => invalid(
                "open another with campaign {\"action\": \"open\", \"supersedes\": \"ID\"}",
            ),
            RlcrError::NoBase { branches, .. } => invalid(&format!(
                "fetch it, or name one of {}",
                branches.join(", ")
            )),
            RlcrError::Git { .. } => Fault::new(
                FaultCode::LaunchFailed,
                message,
                "check that git is installed and that the folder is a checkout of this user",
            ),
        }
    }
}
