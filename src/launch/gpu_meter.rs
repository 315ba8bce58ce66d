//! Power, memory and load of GPUs at one moment, through NVML.

use nvml_wrapper::Nvml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One GPU as NVML reads it; what it does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuReading {
    pub index: u32,
    /// Watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_mib: Option<u64>,
    /// MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_total_mib: Option<u64>,
    /// Share of the last moment in which a kernel ran, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_pct: Option<u32>,
}

/// Reads some GPUs again and again.
#[derive(Debug)]
pub struct GpuMeter {
    nvml: Option<Nvml>,
    indices: Vec<u32>,
}

impl GpuMeter {
    /// A meter of those GPUs; one that reads nothing where NVML is absent.
    pub fn new(indices: &[u32]) -> Self {
        Self {
            nvml: (!indices.is_empty()).then(|| Nvml::init().ok()).flatten(),
            indices: indices.to_vec(),
        }
    }

    pub fn read(&self) -> Vec<GpuReading> {
        let Some(nvml) = &self.nvml else {
            return Vec::new();
        };
        let of = |index: &u32| {
            let device = nvml.device_by_index(*index).ok()?;
            let memory = device.memory_info().ok();
            Some(GpuReading {
                index: *index,
                power_w: device.power_usage().ok().map(|mw| f64::from(mw) / 1e3),
                memory_used_mib: memory.as_ref().map(|memory| memory.used >> 20),
                memory_total_mib: memory.as_ref().map(|memory| memory.total >> 20),
                busy_pct: device.utilization_rates().ok().map(|rates| rates.gpu),
            })
        };
        self.indices.iter().filter_map(of).collect()
    }
}
