//! Recordings from an H100, cut to a launch or two each; see `trim.py` beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Every kernel here except `torch_mix` was recorded with one launch kept.
pub const REPORTS: [&str; 19] = [
    "conflict_basic",
    "diverge",
    "fma_chain",
    "fma_ilp4",
    "gather",
    "l2sum",
    "rmsnorm_scalar",
    "rmsnorm_vec",
    "saxpy_fat",
    "saxpy_lean",
    "sgemm",
    "spill",
    "tail",
    "tiny_grid",
    "torch_mix",
    "transpose_conflict",
    "transpose_naive",
    "transpose_tiled",
    "uneven",
];

/// File name to content.
static PACK: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let packed = include_bytes!("../fixtures/ncu/reports.zst");
    let bytes = zstd::decode_all(&packed[..]).unwrap();
    let mut rest = &bytes[..];
    let mut files = BTreeMap::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap();
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let (name, length) = head.split_once(' ').unwrap();
        let (content, after) = rest[end + 1..].split_at(length.parse().unwrap());
        files.insert(name.to_string(), content.to_vec());
        rest = after;
    }
    files
});

/// The folder that holds all fixtures as files, for the life of the test process.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in PACK.iter() {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
});

pub fn bytes(file: &str) -> &'static [u8] {
    &PACK[file]
}

pub fn path(file: &str) -> PathBuf {
    FOLDER.path().join(file)
}

pub fn report(name: &str) -> sota_loop::ncu::Report {
    sota_loop::ncu::read(&path(&format!("{name}.ncu-rep"))).unwrap()
}

/// The folder of whole recordings, or a line on stderr that says what was not run.
pub fn recordings(test: &str) -> Option<PathBuf> {
    match std::env::var_os("SOTA_TEST_DATA") {
        Some(root) => Some(Path::new(&root).join("ncu")),
        None => {
            eprintln!("{test}: not run: set SOTA_TEST_DATA to the folder of whole recordings");
            None
        }
    }
}
