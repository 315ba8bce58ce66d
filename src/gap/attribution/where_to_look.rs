//! From the largest cause to what governs it in the target, by
//! `references/where-to-look.toml`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gap::Attribution;
use crate::references::Catalogue;

/// Flags and sources of the target that govern the largest cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookAt {
    /// The cause that this is about.
    pub cause: String,
    /// What to do first.
    pub first: String,
    /// Flags of the target's server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Files or folders of the target's sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    cause: String,
    area: String,
    first: String,
    #[serde(default)]
    flags: IndexMap<String, Vec<String>>,
    #[serde(default)]
    sources: IndexMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::gap) struct Table {
    place: Vec<Place>,
}

pub(in crate::gap) static PLACES: Catalogue<Table> = Catalogue::new(
    "where-to-look.toml",
    include_str!("../../../references/where-to-look.toml"),
);

/// The area and the places for the cause that costs the target most; nothing
/// when it is not slower. An engine whose name only begins with that of a
/// known one, such as `sglang-oai`, counts as that one.
pub fn of(
    rows: &[Attribution],
    difference: f64,
    framework: &str,
) -> (Option<String>, Option<LookAt>) {
    let most = rows
        .iter()
        .filter(|row| row.seconds > 0.0 && difference > 0.0)
        .max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let place = most.and_then(|row| {
        PLACES
            .table()
            .place
            .iter()
            .find(|place| place.cause == row.cause)
    });
    let Some(place) = place else {
        return (None, None);
    };
    let of_framework = |lists: &IndexMap<String, Vec<String>>| {
        lists
            .iter()
            .find(|(name, _)| framework.starts_with(name.as_str()))
            .map(|(_, list)| list.clone())
            .unwrap_or_default()
    };
    let look_at = LookAt {
        cause: place.cause.clone(),
        first: place.first.clone(),
        flags: of_framework(&place.flags),
        sources: of_framework(&place.sources),
    };
    (Some(place.area.clone()), Some(look_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_place() {
        let table = PLACES.table();
        let causes: Vec<_> = table.place.iter().map(|p| p.cause.as_str()).collect();
        assert_eq!(
            causes,
            [
                "prefill_rate",
                "decode_step_time",
                "host_gap",
                "kv_capacity",
                "batch_size",
                "admission_policy",
                "running_cap",
                "preemption",
                "stalls",
                "client",
                "tail",
                "unexplained"
            ]
        );
        let areas = [
            "kernels",
            "scheduler",
            "memory",
            "configuration",
            "host",
            "client",
        ];
        assert!(table.place.iter().all(|p| areas.contains(&p.area.as_str())));
    }
}
