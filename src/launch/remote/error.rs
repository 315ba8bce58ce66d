//! What can go wrong between this host and the engine's.

use std::io;
use std::path::PathBuf;

use crate::fault::{Fault, FaultCode};

#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} refuses every key of this user: {reason}")]
    KeyRefused { host: String, reason: String },
    #[error("the host key of {host} is not trusted: {reason}")]
    HostKey { host: String, reason: String },
    #[error("{host} did not answer within {seconds} s to `{program}`")]
    Silent {
        host: String,
        program: String,
        seconds: u64,
    },
    #[error("cannot start `{program}`: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("{} is not a private folder of this user", .0.display())]
    ControlDir(PathBuf),
    #[error("cannot read {}: {source}", path.display())]
    Binary { path: PathBuf, source: io::Error },
    #[error("this program is built for {ours}, but {host} is {theirs}")]
    Machine {
        host: String,
        ours: String,
        theirs: String,
    },
    #[error("cannot put the program into {place} on {host}: {reason}")]
    Cache {
        host: String,
        place: String,
        reason: String,
    },
    #[error("the program does not run on {host}: {reason}")]
    DoesNotRun { host: String, reason: String },
    #[error("`{program}` on {host} answered what cannot be read: {reason}")]
    Garbled {
        host: String,
        program: String,
        reason: String,
    },
    /// What the program there itself reports.
    #[error("on {host}: {}", fault.message)]
    There { host: String, fault: Fault },
}

impl RemoteError {
    /// Whether the connection failed, rather than something at its other end.
    pub fn is_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::KeyRefused { .. }
                | Self::HostKey { .. }
                | Self::Silent { .. }
        )
    }
}

impl From<RemoteError> for Fault {
    fn from(error: RemoteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteError::Unreachable { host, .. } => Fault::new(
                FaultCode::HostUnreachable,
                message,
                format!("`ssh {host} true` must work; check the name, the network and the user's ssh configuration"),
            )
            .retryable(),
            RemoteError::Silent { .. } => {
                Fault::new(FaultCode::HostUnreachable, message, "check the load of the host and the network, then repeat the call").retryable()
            }
            RemoteError::KeyRefused { host, .. } => Fault::new(
                FaultCode::HostUnreachable,
                message,
                format!("`ssh -o BatchMode=yes {host} true` must work without a question: add the key there, or load it into the ssh agent"),
            ),
            RemoteError::HostKey { host, .. } => Fault::new(
                FaultCode::HostUnreachable,
                message,
                format!("log in once with `ssh {host}` and check its fingerprint"),
            ),
            RemoteError::Machine { theirs, .. } => Fault::new(
                FaultCode::HostUnusable,
                message,
                format!("set SOTA_LOOP_REMOTE_BINARY to the path of a sota-loop of this version built for {theirs}"),
            ),
            RemoteError::Cache { .. } => Fault::new(
                FaultCode::HostUnusable,
                message,
                "free space there, or set XDG_CACHE_HOME there to a folder that the user may write",
            ),
            RemoteError::DoesNotRun { .. } => Fault::new(
                FaultCode::HostUnusable,
                message,
                "set SOTA_LOOP_REMOTE_BINARY to the path of a sota-loop of this version that was built for that system",
            ),
            RemoteError::There { host, mut fault } => {
                fault.message = format!("on {host}: {}", fault.message);
                fault
            }
            RemoteError::Garbled { .. } => Fault::new(
                FaultCode::HostUnusable,
                message,
                "the shell there may print or run something at every login: compare `ssh HOST true`",
            ),
            RemoteError::ControlDir(_) => Fault::new(
                FaultCode::NotWritable,
                message,
                "remove it, or set TMPDIR to a private folder",
            ),
            RemoteError::Spawn { .. } | RemoteError::Binary { .. } => {
                Fault::new(FaultCode::LaunchFailed, message, "ssh must be installed here, and this program readable")
            }
        }
    }
}
