//! The container of a `.ncu-rep` file: a magic, a header, then blocks that are
//! read one record at a time, so that memory holds one record and the result.
//!
//! ```text
//! "NVR\0"  u32 n  FileHeader[n]
//! repeat:  u32 n  BlockHeader[n]  payload: NumSources + NumResults + ... x (u32 n, record[n])
//! ```
//!
//! All lengths are little-endian. Metric names come as additions to a string
//! table that later blocks may still extend, so names are resolved at the end.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::budget::Budget;
use super::decode::{self, Decoder};
use super::error::{Flaw, NcuError, Problem};
use super::report::{Process, Report, ResultKind};
use super::wire::Fields;
use crate::disk::DiskError;

pub(super) const MAGIC: &[u8; 4] = b"NVR\0";

/// What to read, and how much a file may ask for.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Keep metrics that are sampled over time (about half of a full report).
    pub time_series: bool,
    /// Keep section definitions.
    pub sections: bool,
    /// The most bytes that one record may have.
    pub max_record: u64,
    /// About the most bytes that the result may take in memory.
    pub max_memory: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            time_series: true,
            sections: true,
            max_record: 1 << 30,
            max_memory: 2 << 30,
        }
    }
}

/// Reads a `.ncu-rep` file, and nothing else.
///
/// # Errors
/// [`NcuError::Disk`] when the file cannot be opened, [`NcuError::Report`]
/// with the byte offset when it is damaged, foreign or over a limit.
pub fn read_report(path: &Path, options: &ReadOptions) -> Result<Report, NcuError> {
    let unreadable = |source| {
        NcuError::Disk(DiskError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let file = File::open(path).map_err(unreadable)?;
    read_from(BufReader::with_capacity(1 << 16, file), options).map_err(|flaw| NcuError::Report {
        path: path.to_path_buf(),
        flaw,
    })
}

/// Reads a report from anything seekable, e.g. a `Cursor` over bytes.
pub fn read_from<R: Read + Seek>(input: R, options: &ReadOptions) -> Result<Report, Flaw> {
    let mut stream = Stream::new(input, options.max_record)?;
    let version = stream.file_header()?;
    let mut decoder = Decoder::new(*options, Budget::new(options.max_memory));
    decoder.report.version = version;
    while stream.left() > 0 {
        block(&mut stream, &mut decoder)?;
    }
    decoder.finish()
}

/// The counts and the size that a block's header announces.
#[derive(Debug, Default)]
struct BlockHeader {
    sources: u32,
    results: [(ResultKind, u32); 4],
    payload: u64,
    process: Process,
}

fn block<R: Read + Seek>(stream: &mut Stream<R>, decoder: &mut Decoder) -> Result<(), Flaw> {
    let header = {
        let (bytes, offset) = stream.record("a block header")?;
        block_header(bytes, offset, decoder)?
    };
    let start = stream.at;
    if header.payload > stream.left() {
        return Err(Flaw::truncated(
            start,
            "a block",
            header.payload,
            stream.left(),
        ));
    }
    let end = start + header.payload;
    for _ in 0..header.sources {
        stream.check_inside(end)?;
        let (bytes, offset) = stream.record("a source")?;
        decoder.source(bytes, offset)?;
    }
    for (kind, count) in header.results {
        for _ in 0..count {
            stream.check_inside(end)?;
            let (bytes, offset) = stream.record("a result")?;
            decoder.result(bytes, offset, kind, &header.process)?;
        }
    }
    if stream.at != end {
        return Err(Flaw::malformed(
            stream.at,
            format!("the records of the block at byte {start} end here, its size says byte {end}"),
        ));
    }
    Ok(())
}

fn block_header(bytes: &[u8], offset: u64, decoder: &mut Decoder) -> Result<BlockHeader, Flaw> {
    let mut header = BlockHeader {
        results: [
            (ResultKind::Kernel, 0),
            (ResultKind::Range, 0),
            (ResultKind::CommandList, 0),
            (ResultKind::Graph, 0),
        ],
        ..BlockHeader::default()
    };
    let mut fields = Fields::new(bytes, offset);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => header.sources = field.u32()?,
            2 => header.results[0].1 = field.u32()?,
            3 => decoder.session(field.message()?)?,
            4 => decoder.strings(field.message()?)?,
            5 => header.payload = field.u64()?,
            6 => header.process = decode::process(field.message()?)?,
            7 => header.results[1].1 = field.u32()?,
            8 => header.results[2].1 = field.u32()?,
            9 => header.results[3].1 = field.u32()?,
            _ => {}
        }
    }
    Ok(header)
}

/// A position in the file, its length, and one reused record buffer.
struct Stream<R> {
    input: R,
    at: u64,
    length: u64,
    max_record: u64,
    buffer: Vec<u8>,
}

impl<R: Read + Seek> Stream<R> {
    fn new(mut input: R, max_record: u64) -> Result<Self, Flaw> {
        let length = input.seek(SeekFrom::End(0)).map_err(|e| io(0, &e))?;
        input.rewind().map_err(|e| io(0, &e))?;
        Ok(Self {
            input,
            at: 0,
            length,
            max_record,
            buffer: Vec::new(),
        })
    }

    fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    fn check_inside(&self, end: u64) -> Result<(), Flaw> {
        if self.at < end {
            return Ok(());
        }
        Err(Flaw::malformed(
            self.at,
            "the block announces more records than its size holds",
        ))
    }

    fn file_header(&mut self) -> Result<u32, Flaw> {
        let mut magic = [0; 4];
        let take = self.left().min(4) as usize;
        let start = &mut magic[..take];
        self.input.read_exact(start).map_err(|e| io(0, &e))?;
        if start != MAGIC {
            return Err(Flaw {
                offset: 0,
                problem: Problem::NotAReport {
                    found: format!("\"{}\"", start.escape_ascii()),
                },
            });
        }
        self.at = 4;
        let (bytes, offset) = self.record("the file header")?;
        let mut version = 0;
        let mut fields = Fields::new(bytes, offset);
        while let Some(field) = fields.next()? {
            if field.number == 1 {
                version = field.u32()?;
            }
        }
        Ok(version)
    }

    /// The next length-prefixed record and its offset.
    fn record(&mut self, what: &'static str) -> Result<(&[u8], u64), Flaw> {
        let at = self.at;
        if self.left() < 4 {
            return Err(Flaw::truncated(at, what, 4, self.left()));
        }
        let mut prefix = [0; 4];
        self.input.read_exact(&mut prefix).map_err(|e| io(at, &e))?;
        let length = u64::from(u32::from_le_bytes(prefix));
        self.at += 4;
        if length > self.left() {
            return Err(Flaw::truncated(at, what, length, self.left()));
        }
        if length > self.max_record {
            return Err(Flaw {
                offset: at,
                problem: Problem::TooLarge {
                    what,
                    limit: self.max_record,
                },
            });
        }
        let offset = self.at;
        self.buffer.resize(length as usize, 0);
        self.input
            .read_exact(&mut self.buffer)
            .map_err(|e| io(offset, &e))?;
        self.at += length;
        Ok((&self.buffer, offset))
    }
}

fn io(offset: u64, error: &std::io::Error) -> Flaw {
    Flaw {
        offset,
        problem: Problem::Io(error.to_string()),
    }
}
