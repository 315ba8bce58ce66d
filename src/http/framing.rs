//! Where a body lies among the bytes of a connection.

use std::ops::Range;

use super::wire::WireError;

/// Most bytes of one chunk's extensions, or of all trailers.
const LONGEST_ASIDE: usize = 16 << 10;

/// How the end of a body is known, and what of it is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `content-length`: the bytes that are left.
    Length(u64),
    /// `transfer-encoding: chunked`.
    Chunked(Place),
    /// The connection's end is the body's end.
    UntilClose,
    /// The whole body has been read.
    Done,
}

/// The place within a chunked body. Every byte of framing moves it on by
/// itself, so none is ever read twice, wherever the bytes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the size of a chunk.
    Size { value: u64, any: bool },
    /// In what follows the size on its line.
    Extension { value: u64, length: usize },
    /// Before the line feed of a size line.
    SizeEnd { value: u64 },
    /// In a chunk's data.
    Data { left: u64 },
    /// Before the carriage return behind the data.
    DataReturn,
    /// Before the line feed behind the data.
    DataEnd,
    /// In the lines behind the last chunk.
    Trailer { length: usize, line: usize },
    /// Before the line feed of such a line.
    TrailerEnd { length: usize, line: usize },
}

impl Place {
    pub(super) const FIRST: Self = Self::Size {
        value: 0,
        any: false,
    };
}

impl Framing {
    /// Finds the next part of the body in the bytes that have arrived. All
    /// up to the end of the range is used up. An empty range says that the
    /// body is at its end or that more bytes are needed.
    pub(super) fn part(&mut self, bytes: &[u8]) -> Result<Range<usize>, WireError> {
        match self {
            Self::Done => Ok(0..0),
            Self::UntilClose => Ok(0..bytes.len()),
            Self::Length(left) => {
                let length = take(left, bytes.len());
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(0..length)
            }
            Self::Chunked(place) => {
                let mut at = 0;
                loop {
                    if let Place::Data { left } = place {
                        let length = take(left, bytes.len() - at);
                        if *left == 0 {
                            *place = Place::DataReturn;
                        }
                        return Ok(at..at + length);
                    }
                    let Some(byte) = bytes.get(at) else {
                        return Ok(at..at);
                    };
                    at += 1;
                    match step(*place, *byte)? {
                        Some(next) => *place = next,
                        None => {
                            *self = Self::Done;
                            return Ok(at..at);
                        }
                    }
                }
            }
        }
    }
}

/// As many of the bytes at hand as belong to the body.
fn take(left: &mut u64, at_hand: usize) -> usize {
    let length = usize::try_from(*left).map_or(at_hand, |left| left.min(at_hand));
    *left -= length as u64;
    length
}

/// The place behind one byte of framing; `None` behind the last.
fn step(place: Place, byte: u8) -> Result<Option<Place>, WireError> {
    let next = match (place, byte) {
        (Place::Size { value, any }, _) => return size(value, any, byte).map(Some),
        (Place::Extension { value, .. }, b'\r') => Place::SizeEnd { value },
        (Place::Extension { value, length }, _) if byte != b'\n' => Place::Extension {
            value,
            length: longer(length)?,
        },
        (Place::SizeEnd { value: 0 }, b'\n') => Place::Trailer { length: 0, line: 0 },
        (Place::SizeEnd { value }, b'\n') => Place::Data { left: value },
        (Place::DataReturn, b'\r') => Place::DataEnd,
        (Place::DataEnd, b'\n') => Place::FIRST,
        (Place::Trailer { length, line }, b'\r') => Place::TrailerEnd { length, line },
        (Place::Trailer { length, line }, _) if byte != b'\n' => Place::Trailer {
            length: longer(length)?,
            line: line + 1,
        },
        (Place::TrailerEnd { line: 0, .. }, b'\n') => return Ok(None),
        (Place::TrailerEnd { length, .. }, b'\n') => Place::Trailer { length, line: 0 },
        _ => return Err(WireError::BadChunk { byte }),
    };
    Ok(Some(next))
}

fn size(value: u64, any: bool, byte: u8) -> Result<Place, WireError> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        let value = value
            .checked_mul(16)
            .ok_or(WireError::ChunkTooLarge)?
            .wrapping_add(u64::from(digit));
        return Ok(Place::Size { value, any: true });
    }
    match byte {
        b'\r' if any => Ok(Place::SizeEnd { value }),
        b';' | b' ' | b'\t' if any => Ok(Place::Extension { value, length: 0 }),
        _ => Err(WireError::BadChunk { byte }),
    }
}

fn longer(length: usize) -> Result<usize, WireError> {
    if length == LONGEST_ASIDE {
        return Err(WireError::AsideTooLong {
            limit: LONGEST_ASIDE,
        });
    }
    Ok(length + 1)
}
