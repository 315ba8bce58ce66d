//! One writer at a time, on one host or over a network file system.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statfs::{Statfs, statfs};

use super::owner::{self, Owner};
use crate::disk::DiskError;

/// How a log is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// An advisory lock of the kernel; gone when its holder dies.
    Kernel,
    /// An owner file that is created exclusively and kept alive by a
    /// heartbeat, for network file systems.
    OwnerFile,
}

/// Held until dropped.
pub(super) enum Turn {
    Kernel { _file: File },
    OwnerFile { _owner: Owner },
}

/// An owner whose heartbeat stands still for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(20);

/// Waits for the log's lock.
pub(super) fn take(log: &Path, kind: Option<LockKind>) -> Result<Turn, DiskError> {
    let kind = kind.unwrap_or_else(|| kind_for(log));
    match kind {
        LockKind::Kernel => {
            let path = log.with_extension("lock");
            let wrap = |source| DiskError::Write {
                path: path.clone(),
                source,
            };
            let file = File::create(&path).map_err(wrap)?;
            file.lock().map_err(wrap)?;
            Ok(Turn::Kernel { _file: file })
        }
        LockKind::OwnerFile => {
            let path: PathBuf = log.with_extension("owner");
            let _owner = owner::take(&path, DEAD_AFTER)?;
            Ok(Turn::OwnerFile { _owner })
        }
    }
}

/// File systems on which a kernel's advisory lock may hold on one host only,
/// by the magic numbers of `statfs(2)`.
#[cfg(target_os = "linux")]
const NETWORK: [i64; 9] = [
    0x6969,                 // NFS
    0x517b,                 // SMB
    0xff53_4d42_u32 as i64, // CIFS
    0xfe53_4d42_u32 as i64, // SMB2
    0x0bd0_0bd0,            // Lustre
    0x4750_4653,            // GPFS
    0x00c3_6400,            // Ceph
    0x5346_414f,            // AFS
    0x1983_0326,            // BeeGFS
];

fn kind_for(log: &Path) -> LockKind {
    let folder = log.parent().unwrap_or(log);
    match statfs(folder) {
        Ok(stat) if is_network(&stat) => LockKind::OwnerFile,
        _ => LockKind::Kernel,
    }
}

/// The type's width differs between architectures.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_cast)]
fn is_network(stat: &Statfs) -> bool {
    NETWORK.contains(&(stat.filesystem_type().0 as i64))
}

#[cfg(not(target_os = "linux"))]
fn is_network(stat: &Statfs) -> bool {
    ["nfs", "smbfs", "afpfs", "webdav"].contains(&stat.filesystem_type_name())
}
