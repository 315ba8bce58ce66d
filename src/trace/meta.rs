use std::collections::HashMap;

use serde::Deserialize;

use super::index::NameId;

/// What a trace says about itself outside its events.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Unix time, in nanoseconds, of the instant 0 of the trace's clock.
    pub base_time_ns: Option<i64>,
    pub devices: Vec<Device>,
    pub distributed: Option<Distributed>,
    /// Whether Python frames were recorded, where the profiler says so.
    pub with_stack: Option<bool>,
    /// Names of processes by process id, both as in the string table.
    pub process_names: HashMap<NameId, NameId>,
}

/// A GPU of the profiled host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Device {
    pub id: u32,
    pub name: String,
    #[serde(rename = "numSms")]
    pub sm_count: u32,
    #[serde(rename = "computeMajor")]
    pub compute_major: u32,
    #[serde(rename = "computeMinor")]
    pub compute_minor: u32,
}

/// The profiled process's place among its ranks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Distributed {
    pub backend: String,
    pub rank: u32,
    pub world_size: u32,
}

impl Metadata {
    /// Takes in one top-level member of the document; unknown ones and those
    /// of an unexpected shape are passed over.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        match key {
            b"baseTimeNanoseconds" => self.base_time_ns = parse(value),
            b"deviceProperties" => self.devices = parse(value).unwrap_or_default(),
            b"distributedInfo" => self.distributed = parse(value),
            b"with_stack" => self.with_stack = parse::<u8>(value).map(|flag| flag != 0),
            _ => {}
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
