//! The path of this program, which also plays guard and supervisor.

use std::path::PathBuf;

/// `SOTA_LOOP_BINARY` where it is set (a host process that only links the
/// library), else the running executable.
pub fn own_binary() -> std::io::Result<PathBuf> {
    match std::env::var_os("SOTA_LOOP_BINARY") {
        Some(path) => Ok(PathBuf::from(path)),
        None => std::env::current_exe(),
    }
}
