//! One measurement at a time on a GPU: locks by UUID for everybody on this host.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{GpuId, LaunchError};

/// Who holds a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub job: String,
}

/// Held until dropped; the kernel releases it when the process dies.
#[derive(Debug)]
pub struct GpuLock {
    _files: Vec<File>,
}

/// The folder of the locks, the same for every user of this host.
fn lock_dir() -> PathBuf {
    std::env::var_os("SOTA_LOOP_LOCK_DIR").map_or_else(
        || std::env::temp_dir().join("sota-loop-gpu-locks"),
        PathBuf::from,
    )
}

impl GpuLock {
    /// Takes all of `gpus`, or none: `Ok(Err(holder))` names who has the first
    /// that is taken.
    pub fn try_take(gpus: &[GpuId], job: &str) -> Result<Result<Self, Holder>, LaunchError> {
        let dir = lock_dir();
        crate::disk::create_dir(&dir)?;
        // Other users must be able to take turns; failing to widen is no error
        // for the user who made the folder.
        let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o1777));
        let mut names: Vec<String> = gpus.iter().map(GpuId::lock_name).collect();
        // One order for everybody, so that two jobs cannot hold halves.
        names.sort_unstable();
        let mut files = Vec::new();
        for name in names {
            match take(&dir.join(format!("{name}.lock")), job)? {
                Ok(file) => files.push(file),
                Err(holder) => return Ok(Err(holder)),
            }
        }
        Ok(Ok(Self { _files: files }))
    }
}

fn take(path: &Path, job: &str) -> Result<Result<File, Holder>, LaunchError> {
    let wrap = |source| LaunchError::Lock {
        path: path.to_path_buf(),
        source,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o666)
        .open(path)
        .map_err(wrap)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
        Err(TryLockError::Error(source)) => return Err(wrap(source)),
    }
    let holder = Holder {
        pid: std::process::id(),
        job: job.to_owned(),
    };
    let text = serde_json::to_string(&holder).unwrap_or_default();
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(text.as_bytes()))
        .map_err(wrap)?;
    Ok(Ok(file))
}

/// Who wrote the lock file last; unknown while it is being written.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or(Holder {
        pid: 0,
        job: "unknown".to_owned(),
    })
}
