//! SHA-256 as it is written in files.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::disk::DiskError;

/// The SHA-256 of `bytes`, 64 lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

/// The SHA-256 of parts one after another.
pub fn hex_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    digits(&hash.finalize())
}

/// The SHA-256 of a file, or of its first `limit` bytes, and how many bytes
/// that were.
pub fn of_file(path: &Path, limit: Option<u64>) -> Result<(String, u64), DiskError> {
    let wrap = |source| DiskError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path)
        .map_err(wrap)?
        .take(limit.unwrap_or(u64::MAX));
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                total += read as u64;
                hash.update(buffer.get(..read).unwrap_or_default());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(wrap(error)),
        }
    }
    Ok((digits(&hash.finalize()), total))
}

/// A SHA-256 of parts that come one after another.
#[derive(Debug, Clone, Default)]
pub struct Running(Sha256);

impl Running {
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The hash of what has come so far.
    pub fn hex(&self) -> String {
        digits(&self.0.clone().finalize())
    }
}

/// HMAC-SHA-256 of RFC 2104.
pub fn hmac(key: &[u8], message: &[u8]) -> String {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    let short = if key.len() > BLOCK {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    for (to, from) in block.iter_mut().zip(&short) {
        *to = *from;
    }
    let keyed = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(keyed(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(keyed(0x5c))
        .chain_update(inner)
        .finalize();
    digits(&outer)
}

fn digits(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(digit(byte >> 4));
        hex.push(digit(*byte));
    }
    hex
}

#[cfg(test)]
mod tests {
    /// The test vector of FIPS 180-4 for "abc".
    #[test]
    fn matches_the_published_vector() {
        assert_eq!(
            super::hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(super::hex_of([&b"a"[..], b"bc"]), super::hex(b"abc"));
    }

    /// Test cases 2 and 6 of RFC 4231: a short key, and one longer than a block.
    #[test]
    fn hmac_matches_the_published_vectors() {
        assert_eq!(
            super::hmac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            super::hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_part_of_a_file_has_its_own_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grows");
        std::fs::write(&path, b"abcdef").unwrap();
        assert_eq!(
            super::of_file(&path, Some(3)).unwrap(),
            (super::hex(b"abc"), 3)
        );
        assert_eq!(super::of_file(&path, None).unwrap().1, 6);
    }
}
