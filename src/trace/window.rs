//! The stretch of unpacked text that the scanner looks at.

use std::io;

use super::source::Blocks;

/// The longest single value that is kept whole; a longer one ends the reading.
const MAX_VALUE_BYTES: usize = 16 << 20;

/// Text from a moving start; grows at the end when the scanner asks.
pub(super) struct Window {
    blocks: Blocks,
    text: Vec<u8>,
    /// Where the scanner stands in `text`.
    at: usize,
    /// Offset of `text[0]` in the unpacked file.
    base: u64,
    /// What ended the text early.
    broken: Option<io::Error>,
}

impl Window {
    pub fn new(blocks: Blocks) -> Self {
        Self {
            blocks,
            text: Vec::new(),
            at: 0,
            base: 0,
            broken: None,
        }
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// Moves the start past text that was read.
    pub fn advance_to(&mut self, at: usize) {
        self.at = at.min(self.text.len());
    }

    /// Offset in the unpacked file of a position in the text.
    pub fn offset(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    /// Adds a block at the end, dropping what was read; false when there is
    /// no more text or a single value has grown too long to keep.
    pub fn grow(&mut self) -> bool {
        if self.text.len() - self.at > MAX_VALUE_BYTES {
            self.broken
                .get_or_insert_with(|| io::Error::other("a single value is longer than 16 MiB"));
            return false;
        }
        let block = match self.blocks.next() {
            Some(Ok(block)) => block,
            Some(Err(error)) => {
                self.broken = Some(error);
                return false;
            }
            None => return false,
        };
        self.base += self.at as u64;
        let kept = self.text.len() - self.at;
        self.text.copy_within(self.at.., 0);
        self.text.truncate(kept);
        self.text.extend_from_slice(&block);
        self.at = 0;
        self.blocks.recycle(block);
        true
    }

    /// What ended the text early, if anything did.
    pub fn broken(self) -> Option<io::Error> {
        self.broken
    }
}
