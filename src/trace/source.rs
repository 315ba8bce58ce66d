//! Unpacking a file on a thread of its own, block by block.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use flate2::bufread::MultiGzDecoder;

use super::error::TraceError;

/// Unpacked bytes handed over at a time.
const BLOCK_BYTES: usize = 512 << 10;
/// Blocks that may wait between the two threads.
const BLOCKS_AHEAD: usize = 4;
/// Packed bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// How a trace file is packed, told by its first bytes, not its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// Unpacked blocks in order; ends with an error where the packed stream broke.
pub(super) struct Blocks {
    filled: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
}

impl Blocks {
    /// Opens a file and starts unpacking it.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let reader = unpacked(path)?;
        let (send_filled, filled) = sync_channel(BLOCKS_AHEAD);
        let (used, take_used) = channel();
        thread::Builder::new()
            .name("trace-unpack".into())
            .spawn(move || unpack(reader, &send_filled, &take_used))
            .map_err(|source| TraceError::Open {
                path: path.to_path_buf(),
                source,
            })?;
        Ok(Self { filled, used })
    }

    /// The next block, `None` at the end.
    pub fn next(&self) -> Option<io::Result<Vec<u8>>> {
        self.filled.recv().ok()
    }

    /// Gives a block back to be filled again.
    pub fn recycle(&self, block: Vec<u8>) {
        // A thread that has finished needs no more blocks.
        let _ = self.used.send(block);
    }
}

/// Unpacks a whole file without looking at it and says how many bytes that
/// gave: the floor under any reader's time.
pub fn unpack_only(path: &Path) -> Result<u64, TraceError> {
    let mut reader = unpacked(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut total = 0;
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(total),
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(TraceError::Damaged {
                    path: path.to_path_buf(),
                    source,
                });
            }
        }
    }
}

fn unpacked(path: &Path) -> Result<Box<dyn Read + Send>, TraceError> {
    let open = |source| TraceError::Open {
        path: PathBuf::from(path),
        source,
    };
    let file = File::open(path).map_err(open)?;
    if !file.metadata().map_err(open)?.is_file() {
        return Err(TraceError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    let packing = packing(file.fill_buf().map_err(open)?).map_err(|format| TraceError::Packed {
        path: path.to_path_buf(),
        format,
    })?;
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(open)?),
    })
}

fn packing(start: &[u8]) -> Result<Packing, &'static str> {
    match start {
        [0x1f, 0x8b, ..] => Ok(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Packing::Zstd),
        [b'P', b'K', 3, 4, ..] => Err("zip"),
        [b'B', b'Z', b'h', ..] => Err("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("xz"),
        _ => Ok(Packing::Plain),
    }
}

fn unpack(
    mut reader: Box<dyn Read + Send>,
    filled: &SyncSender<io::Result<Vec<u8>>>,
    used: &Receiver<Vec<u8>>,
) {
    loop {
        let mut block = used.try_recv().unwrap_or_default();
        block.resize(BLOCK_BYTES, 0);
        let (count, ended) = fill(&mut reader, &mut block);
        block.truncate(count);
        if count > 0 && filled.send(Ok(block)).is_err() {
            return;
        }
        match ended {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                let _ = filled.send(Err(error));
                return;
            }
        }
    }
}

/// Fills a block as far as the stream goes; true at its end.
fn fill(reader: &mut impl Read, block: &mut [u8]) -> (usize, io::Result<bool>) {
    let mut count = 0;
    while count < block.len() {
        match reader.read(&mut block[count..]) {
            Ok(0) => return (count, Ok(true)),
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(false))
}
