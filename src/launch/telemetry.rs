//! What GPUs do during a run: power, clocks, temperature, memory and throttling,
//! read through NVML once a second. Without NVML there is nothing to read, and
//! that is no error.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};

const PERIOD: Duration = Duration::from_secs(1);

/// Reasons for lower clocks, by NVML's names. Idle and set clocks are no throttling.
const REASONS: [(ThrottleReasons, &str); 6] = [
    (ThrottleReasons::SW_POWER_CAP, "sw_power_cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hw_slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync_boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "sw_thermal_slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hw_thermal_slowdown"),
    (
        ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN,
        "hw_power_brake_slowdown",
    ),
];

/// One look at one GPU. What the driver does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuReading {
    /// Seconds since the run began.
    pub at_s: f64,
    pub gpu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// The driver's energy counter since it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_clock_mhz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_mib: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_total_mib: Option<u64>,
    /// Share of the last sampling period in which a kernel ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization_pct: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
}

/// A run's readings of all its GPUs together, and of each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuTelemetry {
    /// Energy of all GPUs over the run: the driver's counter, else the mean
    /// power over the time between the first and the last reading.
    pub energy_j: Option<f64>,
    /// Sum of the GPUs' mean power.
    pub power_avg_w: Option<f64>,
    /// Whether any GPU lowered its clocks for power or heat.
    pub throttled: bool,
    pub gpus: Vec<GpuSummary>,
}

/// One GPU over a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuSummary {
    pub gpu: u32,
    pub readings: usize,
    pub energy_j: Option<f64>,
    pub power_avg_w: Option<f64>,
    pub power_max_w: Option<f64>,
    pub sm_clock_avg_mhz: Option<f64>,
    pub memory_clock_avg_mhz: Option<f64>,
    pub temperature_max_c: Option<f64>,
    pub memory_max_mib: Option<f64>,
    pub utilization_avg_pct: Option<f64>,
    /// Share of the readings that gave each reason, in percent.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub throttle_pct: IndexMap<String, f64>,
}

/// Reads GPUs in the background until it is finished or dropped.
#[derive(Debug)]
pub struct GpuMeter {
    stop: Sender<()>,
    thread: JoinHandle<Vec<GpuReading>>,
    /// The last look at every GPU.
    latest: Arc<Mutex<Vec<GpuReading>>>,
}

impl GpuMeter {
    /// None where there is no GPU to read.
    pub fn start(indices: &[u32]) -> Option<Self> {
        if indices.is_empty() {
            return None;
        }
        let nvml = Nvml::init().ok()?;
        let indices = indices.to_vec();
        let (stop, stopped) = mpsc::channel();
        let mut stopping = false;
        let latest = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&latest);
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let mut readings = Vec::new();
            loop {
                let at = started.elapsed();
                let look: Vec<GpuReading> = indices
                    .iter()
                    .filter_map(|index| {
                        let device = nvml.device_by_index(*index).ok()?;
                        Some(read(&device, *index, at.as_secs_f64()))
                    })
                    .collect();
                readings.extend(look.iter().cloned());
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = look;
                // The reading just made is the last: it closes the energy counter.
                if stopping {
                    return readings;
                }
                let due = PERIOD * (at.as_secs() as u32 + 1);
                let wait = due.saturating_sub(started.elapsed());
                stopping = stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            }
        });
        Some(Self {
            stop,
            thread,
            latest,
        })
    }

    /// The last look at every GPU, for watching.
    pub fn latest(&self) -> Vec<GpuReading> {
        self.latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Takes a last reading and gives all of them.
    pub fn finish(self) -> Vec<GpuReading> {
        // A thread that is gone has nothing left to stop.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_default()
    }
}

fn read(device: &Device<'_>, gpu: u32, at_s: f64) -> GpuReading {
    let memory = device.memory_info().ok();
    let reasons = device
        .current_throttle_reasons()
        .unwrap_or(ThrottleReasons::NONE);
    GpuReading {
        at_s,
        gpu,
        power_w: device.power_usage().ok().map(|mw| f64::from(mw) / 1e3),
        energy_j: device
            .total_energy_consumption()
            .ok()
            .map(|mj| mj as f64 / 1e3),
        sm_clock_mhz: device.clock_info(Clock::SM).ok(),
        memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
        temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
        memory_used_mib: memory.as_ref().map(|memory| memory.used >> 20),
        memory_total_mib: memory.as_ref().map(|memory| memory.total >> 20),
        utilization_pct: device.utilization_rates().ok().map(|rates| rates.gpu),
        throttle_reasons: REASONS
            .iter()
            .filter(|(reason, _)| reasons.contains(*reason))
            .map(|(_, name)| (*name).to_owned())
            .collect(),
    }
}

impl GpuTelemetry {
    /// The summary of a run's readings; none where nothing was read.
    pub fn of(readings: &[GpuReading]) -> Option<Self> {
        let mut by_gpu: IndexMap<u32, Vec<&GpuReading>> = IndexMap::new();
        for reading in readings {
            by_gpu.entry(reading.gpu).or_default().push(reading);
        }
        let gpus: Vec<GpuSummary> = by_gpu
            .iter()
            .map(|(gpu, readings)| summary(*gpu, readings))
            .collect();
        if gpus.is_empty() {
            return None;
        }
        let sum = |pick: fn(&GpuSummary) -> Option<f64>| gpus.iter().map(pick).sum::<Option<f64>>();
        Some(Self {
            energy_j: sum(|gpu| gpu.energy_j),
            power_avg_w: sum(|gpu| gpu.power_avg_w),
            throttled: gpus.iter().any(|gpu| !gpu.throttle_pct.is_empty()),
            gpus,
        })
    }
}

fn summary(gpu: u32, readings: &[&GpuReading]) -> GpuSummary {
    let values = |pick: fn(&GpuReading) -> Option<f64>| -> Vec<f64> {
        readings
            .iter()
            .filter_map(|reading| pick(reading))
            .collect()
    };
    let mean = |values: &[f64]| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
    let power = values(|reading| reading.power_w);
    let counter = values(|reading| reading.energy_j);
    let seconds = match (readings.first(), readings.last()) {
        (Some(first), Some(last)) if last.at_s > first.at_s => Some(last.at_s - first.at_s),
        _ => None,
    };
    let counted = match (counter.first(), counter.last()) {
        (Some(first), Some(last)) if last > first => Some(last - first),
        _ => None,
    };
    let mut throttle_pct: IndexMap<String, f64> = IndexMap::new();
    for reason in readings
        .iter()
        .flat_map(|reading| &reading.throttle_reasons)
    {
        *throttle_pct.entry(reason.clone()).or_default() += 100.0 / readings.len() as f64;
    }
    GpuSummary {
        gpu,
        readings: readings.len(),
        energy_j: counted.or_else(|| Some(mean(&power)? * seconds?)),
        power_avg_w: counted
            .zip(seconds)
            .map(|(joules, seconds)| joules / seconds)
            .or_else(|| mean(&power)),
        power_max_w: most(&power),
        sm_clock_avg_mhz: mean(&values(|reading| reading.sm_clock_mhz.map(f64::from))),
        memory_clock_avg_mhz: mean(&values(|reading| reading.memory_clock_mhz.map(f64::from))),
        temperature_max_c: most(&values(|reading| reading.temperature_c.map(f64::from))),
        memory_max_mib: most(&values(|reading| {
            reading.memory_used_mib.map(|mib| mib as f64)
        })),
        utilization_avg_pct: mean(&values(|reading| reading.utilization_pct.map(f64::from))),
        throttle_pct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(gpu: u32, at_s: f64, power_w: f64, energy_j: Option<f64>) -> GpuReading {
        GpuReading {
            at_s,
            gpu,
            power_w: Some(power_w),
            energy_j,
            temperature_c: Some(50 + at_s as u32),
            ..GpuReading::default()
        }
    }

    #[test]
    fn the_energy_counter_counts_before_the_power_readings() {
        let readings = [
            reading(0, 0.0, 100.0, Some(5000.0)),
            reading(0, 2.0, 700.0, Some(6000.0)),
        ];
        let telemetry = GpuTelemetry::of(&readings).unwrap();
        assert_eq!(telemetry.energy_j, Some(1000.0));
        assert_eq!(telemetry.power_avg_w, Some(500.0));
        assert_eq!(telemetry.gpus[0].power_max_w, Some(700.0));
        assert_eq!(telemetry.gpus[0].temperature_max_c, Some(52.0));
        assert!(!telemetry.throttled);
    }

    #[test]
    fn without_a_counter_the_mean_power_is_taken_and_gpus_add_up() {
        let mut readings = vec![
            reading(0, 0.0, 100.0, None),
            reading(1, 0.0, 200.0, None),
            reading(0, 4.0, 300.0, None),
            reading(1, 4.0, 200.0, None),
        ];
        readings[3].throttle_reasons = vec!["sw_power_cap".to_owned()];
        let telemetry = GpuTelemetry::of(&readings).unwrap();
        assert_eq!(telemetry.energy_j, Some(1600.0));
        assert_eq!(telemetry.power_avg_w, Some(400.0));
        assert!(telemetry.throttled);
        assert_eq!(telemetry.gpus[1].throttle_pct["sw_power_cap"], 50.0);
        assert_eq!(telemetry.gpus[0].sm_clock_avg_mhz, None);
    }

    #[test]
    fn nothing_is_read_without_a_gpu() {
        assert!(GpuMeter::start(&[]).is_none());
        assert_eq!(GpuTelemetry::of(&[]), None);
    }
}
