//! Reads answers out of the bytes of a connection, without any I/O of its own.

use std::ops::Range;
use std::time::Instant;

use super::framing::{Framing, Place};

/// Longest head of an answer.
const LONGEST_HEAD: usize = 64 << 10;

/// Most header lines of an answer.
const MOST_HEADERS: usize = 128;

/// Bytes that one read may bring. Larger than an event of nearly any engine,
/// so that a read rarely fills it: a short read spares the next one that
/// would find nothing.
const ROOM: usize = 16 << 10;

/// Bytes of an answer that break HTTP/1.1 or the limits of this client.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("the connection ended within the head of the answer")]
    EndInHead,
    #[error("the connection ended before the end of the body")]
    EndInBody,
    #[error("the head of the answer is no HTTP/1.1: {0}")]
    BadHead(#[from] httparse::Error),
    #[error("the head of the answer is longer than {LONGEST_HEAD} bytes")]
    HeadTooLong,
    #[error("the answer has the content-length {0:?}, which is no number of bytes")]
    BadLength(String),
    #[error("the answer has the transfer-encoding {0:?}; only \"chunked\" is understood")]
    UnknownCoding(String),
    #[error("the byte {byte:#04x} does not belong between the chunks of a body")]
    BadChunk { byte: u8 },
    #[error("a chunk of the body claims a size beyond 64 bits")]
    ChunkTooLarge,
    #[error("a chunk's extensions or the body's trailers are longer than {limit} bytes")]
    AsideTooLong { limit: usize },
}

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    framing: Framing,
    /// Whether the engine will take another request on this connection.
    keep: bool,
}

/// What has arrived and not been handed out yet.
///
/// One buffer serves all answers of a connection. A body never waits in it:
/// each part is handed out before the next read, so its time is that read's.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    framing: Framing,
    keep: bool,
    read_at: Instant,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; ROOM],
            start: 0,
            end: 0,
            framing: Framing::Done,
            keep: true,
            read_at: Instant::now(),
        }
    }

    /// Room for the next read.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buffer.len() {
                self.buffer.resize(self.end + ROOM, 0);
            }
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes note of a read that brought `count` bytes.
    pub(super) fn filled(&mut self, count: usize, at: Instant) {
        self.end = self.buffer.len().min(self.end + count);
        self.read_at = at;
    }

    /// When the last read returned.
    pub(super) fn read_at(&self) -> Instant {
        self.read_at
    }

    /// Forbids another request on this connection.
    pub(super) fn spoil(&mut self) {
        self.keep = false;
    }

    /// Whether the answer was read to its end and nothing forbids another.
    pub(super) fn is_idle(&self) -> bool {
        self.keep && self.framing == Framing::Done && self.start == self.end
    }

    /// The status of the answer, once its whole head has arrived. Interim
    /// answers (1xx) are passed over.
    pub(super) fn head(&mut self) -> Result<Option<u16>, WireError> {
        loop {
            let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
            let Some((head, length)) = parse_head(bytes)? else {
                let is_long = bytes.len() >= LONGEST_HEAD;
                return if is_long {
                    Err(WireError::HeadTooLong)
                } else {
                    Ok(None)
                };
            };
            self.start += length;
            if (100..200).contains(&head.status) && head.status != 101 {
                continue;
            }
            self.keep &= head.keep;
            self.framing = head.framing;
            return Ok(Some(head.status));
        }
    }

    /// Finds the next part of the body that has arrived, if any has.
    pub(super) fn next_part(&mut self) -> Result<Option<Range<usize>>, WireError> {
        let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
        let part = self.framing.part(bytes)?;
        let part = self.start + part.start..self.start + part.end;
        self.start = part.end;
        Ok((!part.is_empty()).then_some(part))
    }

    /// The bytes of a part, as long as no other read is made.
    pub(super) fn bytes(&self, part: Range<usize>) -> &[u8] {
        self.buffer.get(part).unwrap_or_default()
    }

    /// Whether the body is at its end.
    pub(super) fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Takes note that the connection ended while a body was read.
    pub(super) fn closed(&mut self) -> Result<(), WireError> {
        self.keep = false;
        match self.framing {
            Framing::Done | Framing::UntilClose => {
                self.framing = Framing::Done;
                Ok(())
            }
            Framing::Length(_) | Framing::Chunked(_) => Err(WireError::EndInBody),
        }
    }
}

/// Reads a head and its length; `None` when it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, WireError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.unwrap_or_default();
    let mut keep = response.version == Some(1);
    let (mut length_header, mut is_chunked) = (None, false);
    for header in response.headers.iter() {
        let words = || String::from_utf8_lossy(header.value).trim().to_owned();
        if header.name.eq_ignore_ascii_case("content-length") {
            let value = content_length(header.value)
                .filter(|value| length_header.is_none_or(|before| before == *value));
            length_header = Some(value.ok_or_else(|| WireError::BadLength(words()))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(WireError::UnknownCoding(words()));
            }
            is_chunked = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in header.value.split(|byte| *byte == b',') {
                let option = option.trim_ascii();
                if option.eq_ignore_ascii_case(b"close") {
                    keep = false;
                } else if option.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0)
                {
                    keep = true;
                }
            }
        }
    }
    let framing = match (status, is_chunked, length_header) {
        (100..200 | 204 | 304, _, _) | (_, false, Some(0)) => Framing::Done,
        (_, true, _) => Framing::Chunked(Place::FIRST),
        (_, false, Some(length)) => Framing::Length(length),
        (_, false, None) => Framing::UntilClose,
    };
    // Two lengths that may disagree: one of the two ends is not where it seems.
    keep &= framing != Framing::UntilClose && !(is_chunked && length_header.is_some());
    let head = Head {
        status,
        framing,
        keep,
    };
    Ok(Some((head, length)))
}

fn content_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let only_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| only_digits)?;
    text.parse().ok()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
