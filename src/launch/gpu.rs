//! GPUs of this host through NVML, where it exists.

use nvml_wrapper::Nvml;
use serde::{Deserialize, Serialize};

use super::LaunchError;

/// One GPU of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuId {
    pub index: u32,
    /// The driver's UUID; none where NVML is absent.
    pub uuid: Option<String>,
    pub name: Option<String>,
}

impl GpuId {
    /// The name under which the GPU is locked on this host.
    pub fn lock_name(&self) -> String {
        self.uuid
            .clone()
            .unwrap_or_else(|| format!("index-{}", self.index))
    }
}

/// A process that uses a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    pub gpu: u32,
    /// The driver's UUID of the GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    pub pid: u32,
    pub user: Option<String>,
    pub memory_mib: Option<u64>,
}

/// Resolves indices to GPUs. Without NVML the indices stand for themselves.
pub fn resolve(indices: &[u32]) -> Result<Vec<GpuId>, LaunchError> {
    let Ok(nvml) = Nvml::init() else {
        return Ok(indices
            .iter()
            .map(|index| GpuId {
                index: *index,
                uuid: None,
                name: None,
            })
            .collect());
    };
    let count = nvml.device_count().unwrap_or(0);
    indices
        .iter()
        .map(|index| {
            let device = nvml
                .device_by_index(*index)
                .map_err(|_| LaunchError::NoSuchGpu {
                    index: *index,
                    count,
                })?;
            Ok(GpuId {
                index: *index,
                uuid: device.uuid().ok(),
                name: device.name().ok(),
            })
        })
        .collect()
}

/// Processes that hold memory on the given GPUs now; empty without NVML.
pub fn occupants(indices: &[u32]) -> Vec<Occupant> {
    let Ok(nvml) = Nvml::init() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for index in indices {
        let Ok(device) = nvml.device_by_index(*index) else {
            continue;
        };
        for process in device.running_compute_processes().unwrap_or_default() {
            let memory_mib = match process.used_gpu_memory {
                nvml_wrapper::enums::device::UsedGpuMemory::Used(bytes) => Some(bytes >> 20),
                nvml_wrapper::enums::device::UsedGpuMemory::Unavailable => None,
            };
            found.push(Occupant {
                gpu: *index,
                uuid: device.uuid().ok(),
                pid: process.pid,
                user: user_of(process.pid),
                memory_mib,
            });
        }
    }
    found
}

fn user_of(pid: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok()??;
    Some(user.name)
}
