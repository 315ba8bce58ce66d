//! One measurement at a time on a GPU: locks by UUID for everybody on this host.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
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

/// The folder of the locks: the same for every user, shell and job of this
/// host, and so not the temporary folder that `TMPDIR` names.
const LOCK_DIR: &str = "/tmp/sota-loop-gpu-locks";

/// Every user takes the locks of every other.
const FILE_MODE: u32 = 0o666;

fn lock_dir() -> PathBuf {
    std::env::var_os("SOTA_LOOP_LOCK_DIR").map_or_else(|| PathBuf::from(LOCK_DIR), PathBuf::from)
}

impl GpuLock {
    /// Takes all of `gpus`, or none: `Ok(Err(holder))` names who has the first
    /// that is taken.
    pub fn try_take(gpus: &[GpuId], job: &str) -> Result<Result<Self, Holder>, LaunchError> {
        Self::try_take_in(&lock_dir(), gpus, job)
    }

    fn try_take_in(
        dir: &Path,
        gpus: &[GpuId],
        job: &str,
    ) -> Result<Result<Self, Holder>, LaunchError> {
        crate::disk::create_dir(dir)?;
        // Other users must be able to take turns; failing to widen is no error
        // for the user who made the folder.
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1777));
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
    let (mut file, writable) = open_or_create(path).map_err(wrap)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
        Err(TryLockError::Error(source)) => return Err(wrap(source)),
    }
    if !writable {
        return Ok(Ok(file));
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

/// The lock file, and whether it can be written to. An existing one is opened
/// without `O_CREAT`: the kernel denies that for another user's file in a
/// sticky folder (`fs.protected_regular`). A lock needs no right to write.
fn open_or_create(path: &Path) -> io::Result<(File, bool)> {
    let mut existing = OpenOptions::new();
    existing.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut writable = existing.clone();
    writable.write(true);
    for _ in 0..2 {
        match writable.open(path) {
            Ok(file) => return Ok((file, true)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return existing.open(path).map(|file| (file, false));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        match writable.clone().create_new(true).open(path) {
            Ok(file) => {
                // The user's umask has cut the mode of the new file.
                file.set_permissions(std::fs::Permissions::from_mode(FILE_MODE))?;
                return Ok((file, true));
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
    }
    Err(io::ErrorKind::NotFound.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> [GpuId; 1] {
        [GpuId {
            index: 0,
            uuid: Some("GPU-1".to_owned()),
            name: None,
        }]
    }

    fn taken(dir: &Path, job: &str) -> Result<GpuLock, Holder> {
        GpuLock::try_take_in(dir, &gpu(), job).unwrap()
    }

    #[test]
    fn a_held_lock_names_its_job_and_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = taken(dir.path(), "bench-1").unwrap();
        assert_eq!(taken(dir.path(), "bench-2").unwrap_err().job, "bench-1");
        drop(first);
        assert!(taken(dir.path(), "bench-2").is_ok());
    }

    #[test]
    fn every_user_may_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let locks = dir.path().join("locks");
        drop(taken(&locks, "bench-1").unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&locks), 0o1777);
        assert_eq!(mode(&locks.join("GPU-1.lock")), FILE_MODE);
    }

    #[test]
    fn a_lock_file_of_an_older_umask_still_locks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("GPU-1.lock");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        let first = taken(dir.path(), "bench-1");
        assert!(first.is_ok());
        assert!(taken(dir.path(), "bench-2").is_err());
    }
}
