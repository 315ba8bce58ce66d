//! The connection to a host, with this program at its other end.

use std::time::Duration;

use super::protocol::{Answer, MARK, Request};
use crate::launch::remote::{Binary, Body, Channel, RemoteError, install};

/// A host that answers requests.
#[derive(Debug)]
pub struct Line {
    channel: Channel,
    /// Path of this program there.
    program: String,
}

const LIMIT: Duration = Duration::from_secs(60);
/// Hashing and copying a large file.
const LONG: Duration = Duration::from_secs(600);

impl Line {
    /// Connects, and brings this program there unless it is there.
    pub async fn open(host: Option<&str>) -> Result<Self, RemoteError> {
        let channel = match host {
            Some(host) => Channel::ssh(host),
            None => Channel::Here,
        };
        let binary = Binary::to_copy()?;
        match install(&channel, &binary).await {
            Ok(program) => Ok(Self { channel, program }),
            Err(error) => {
                channel.close().await;
                Err(error)
            }
        }
    }

    pub fn host(&self) -> &str {
        self.channel.host()
    }

    /// Asks, and gives the answer with the bytes that follow it.
    pub async fn ask(
        &self,
        request: &Request,
        body: &[u8],
    ) -> Result<(Answer, Vec<u8>), RemoteError> {
        let mut line = serde_json::to_vec(request).unwrap_or_default();
        line.push(b'\n');
        let limit = match request {
            Request::Put { .. } | Request::Sums { .. } | Request::Sources { .. } => LONG,
            _ => LIMIT,
        };
        let mut answered = self
            .channel
            .run(&[&self.program, "agent"], Body::Both(&line, body), limit)
            .await?;
        let garbled = |reason: String| RemoteError::Garbled {
            host: self.host().to_owned(),
            program: "sota-loop agent".to_owned(),
            reason,
        };
        let start = memchr::memmem::find(&answered.out, MARK.as_bytes());
        let Some(start) = start else {
            return Err(garbled(answered.reason()));
        };
        let rest = answered.out.split_off(start + MARK.len());
        let end =
            memchr::memchr(b'\n', &rest).ok_or_else(|| garbled("half an answer".to_owned()))?;
        let answer = serde_json::from_slice(rest.get(..end).unwrap_or_default())
            .map_err(|error| garbled(error.to_string()))?;
        match answer {
            Answer::Fault(fault) => Err(RemoteError::There {
                host: self.host().to_owned(),
                fault,
            }),
            answer => Ok((answer, rest.get(end + 1..).unwrap_or_default().to_vec())),
        }
    }

    pub async fn close(&self) {
        self.channel.close().await;
    }
}
