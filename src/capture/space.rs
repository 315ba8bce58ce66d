//! Whether the traces will fit on the disk, before anything is launched.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::CaptureError;
use super::payload::CapturePayload;
use crate::disk::DiskError;

/// Room for one recorded step of one rank, packed. Real steps of a 36-layer
/// model take 0.5 MB (decode with Python stacks) to 5 MB (prefill).
const STEP_MIB: u64 = 16;
/// Left free beside the traces, for logs and reports.
const SPARE_MIB: u64 = 64;

/// Refuses a capture that may fill the disk of its folder.
pub fn check(payload: &CapturePayload) -> Result<(), CaptureError> {
    let needed_mib = needed_mib(payload);
    let free_mib = free_mib(&payload.folder)?;
    if free_mib >= needed_mib {
        return Ok(());
    }
    Err(CaptureError::DiskTooSmall {
        dir: payload.folder.clone(),
        free_mib,
        needed_mib,
    })
}

fn needed_mib(payload: &CapturePayload) -> u64 {
    let recordings = payload.runs().len() * payload.stages.len();
    let steps = u64::from(payload.steps) * recordings as u64;
    SPARE_MIB + STEP_MIB * steps * u64::from(payload.world())
}

fn free_mib(dir: &Path) -> Result<u64, DiskError> {
    let stat = statvfs(dir).map_err(|error| DiskError::Read {
        path: dir.to_path_buf(),
        source: error.into(),
    })?;
    Ok((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64) >> 20)
}
