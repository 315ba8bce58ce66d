//! This program as a file that can be copied.

use std::path::PathBuf;

use super::RemoteError;
use crate::own_binary::own_binary;
use crate::sha256;

/// The bytes of a program, and what they are for.
#[derive(Debug)]
pub struct Binary {
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// As `uname -m` calls it; none where the file does not say.
    pub machine: Option<&'static str>,
}

impl Binary {
    /// This very program, or the one that `SOTA_LOOP_REMOTE_BINARY` names for
    /// hosts of another kind.
    pub fn to_copy() -> Result<Self, RemoteError> {
        let path = match std::env::var_os("SOTA_LOOP_REMOTE_BINARY") {
            Some(path) => PathBuf::from(path),
            None => own_binary().map_err(|source| RemoteError::Binary {
                path: PathBuf::from("(own)"),
                source,
            })?,
        };
        let bytes = std::fs::read(&path).map_err(|source| RemoteError::Binary { path, source })?;
        Ok(Self {
            sha256: sha256::hex(&bytes),
            machine: machine(&bytes),
            bytes,
        })
    }
}

/// `e_machine` of an ELF header (System V ABI, chapter 4).
fn machine(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(..4)? != b"\x7fELF" {
        return None;
    }
    let little = *bytes.get(5)? == 1;
    let field = [*bytes.get(18)?, *bytes.get(19)?];
    let number = if little {
        u16::from_le_bytes(field)
    } else {
        u16::from_be_bytes(field)
    };
    Some(match (number, little) {
        (0x3e, _) => "x86_64",
        (0xb7, _) => "aarch64",
        (0xf3, _) => "riscv64",
        (0x15, true) => "ppc64le",
        (0x16, _) => "s390x",
        _ => "another machine",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_header_tells_the_machine() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(machine(&own), Some(std::env::consts::ARCH));
        let mut other = own[..64].to_vec();
        other[18] = 0xb7;
        assert_eq!(machine(&other), Some("aarch64"));
        assert_eq!(machine(b"#!/bin/sh\n"), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }
}
