//! Any bytes as a report and as a table: an error or a result, nothing else.

#![no_main]
#![allow(dead_code, unused_imports)]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

use ncu::{ReadOptions, parse_csv, read_from};

#[path = "../../src/crash.rs"]
mod crash;
#[path = "../../src/detail.rs"]
mod detail;
#[path = "../../src/disk.rs"]
mod disk;
#[path = "../../src/fault.rs"]
mod fault;
#[path = "../../src/references.rs"]
mod references;
#[path = "../../src/ncu/mod.rs"]
mod ncu;

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions {
        max_memory: 64 << 20,
        ..ReadOptions::default()
    };
    if let Err(flaw) = read_from(Cursor::new(bytes), &options) {
        assert!(flaw.offset <= bytes.len() as u64);
    }
    let _ = parse_csv(bytes);
});
