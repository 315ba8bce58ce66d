//! Lines of a file that may be hostile: one at a time, none longer in memory
//! than a bound.

use std::io::{self, BufRead, Read};

/// Reads line after line into one buffer.
pub struct BoundedLines<R> {
    reader: R,
    longest: u64,
    line: Vec<u8>,
}

impl<R: BufRead> BoundedLines<R> {
    /// A line of more than `longest` bytes comes in pieces of that length.
    pub fn new(reader: R, longest: u64) -> Self {
        Self {
            reader,
            longest,
            line: Vec::new(),
        }
    }

    /// The next line with its line end; none at the end of the file.
    pub fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = self
            .reader
            .by_ref()
            .take(self.longest)
            .read_until(b'\n', &mut self.line)?;
        Ok((read > 0).then_some(self.line.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_over_the_bound_comes_in_pieces() {
        let mut lines = BoundedLines::new(&b"one\nlonger\nend"[..], 5);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(String::from_utf8_lossy(line).into_owned());
        }
        assert_eq!(found, ["one\n", "longe", "r\n", "end"]);
    }
}
