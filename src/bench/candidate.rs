//! The candidates of each framework: the baseline first, then a bounded part of
//! the product of its search space.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::{Flags, Framework, Plan};
use super::server::engine_of;

/// Name of the candidate that has the plan's own flags.
pub const BASELINE: &str = "base";

/// One server configuration to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub framework: String,
    /// `base`, or what differs from it: `chunked_prefill_size=8192`.
    pub id: String,
    pub flags: Flags,
}

/// A framework's candidates and what the bounds left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    pub list: Vec<Candidate>,
    /// Combinations that `max_candidates_per_framework` cut off.
    pub left_out: usize,
}

/// The candidates of one framework within the plan's bounds.
pub fn candidates(plan: &Plan, name: &str, framework: &Framework) -> Candidates {
    if !framework.candidates.is_empty() {
        let fixed = framework.candidates.iter();
        return Candidates {
            list: fixed
                .map(|(id, flags)| Candidate {
                    framework: name.to_owned(),
                    id: id.clone(),
                    flags: flags.clone(),
                })
                .collect(),
            left_out: 0,
        };
    }
    let most = plan.search.max_candidates_per_framework as usize;
    let space = search_space(plan.search.tier, name, framework);
    let changes = match plan.search.tier {
        1 => Vec::new(),
        2 => one_at_a_time(&space),
        _ => product(&space, most.saturating_mul(4)),
    };
    let mut list = vec![Candidate {
        framework: name.to_owned(),
        id: BASELINE.to_owned(),
        flags: framework.base_server_flags.clone(),
    }];
    let mut left_out = 0;
    for change in changes {
        let flags = changed(&framework.base_server_flags, &change);
        if list.iter().any(|known| known.flags == flags) {
            continue;
        }
        if list.len() >= most {
            left_out += 1;
            continue;
        }
        list.push(Candidate {
            framework: name.to_owned(),
            id: id_of(&change),
            flags,
        });
    }
    Candidates { list, left_out }
}

/// The candidates of a framework of the plan; none where it has no such framework.
pub fn candidates_of(plan: &Plan, name: &str) -> Vec<Candidate> {
    let framework = plan.frameworks.get(name);
    framework.map_or_else(Vec::new, |framework| candidates(plan, name, framework).list)
}

type Change = IndexMap<String, Value>;
type Space = IndexMap<String, Vec<Value>>;

/// The plan's own space, then the engine's knobs where the plan wants them.
fn search_space(tier: u8, name: &str, framework: &Framework) -> Space {
    let mut space = framework.search_space.clone();
    let engine = engine_of(name, framework).ok();
    let Some(engine) = engine.filter(|_| framework.default_search_space) else {
        return space;
    };
    let plain = |flag: &str| flag.trim_start_matches('-').replace('-', "_");
    for knob in engine.knobs.iter().filter(|knob| knob.tier <= tier) {
        let mut named = framework.base_server_flags.keys().chain(space.keys());
        if !named.any(|flag| plain(flag) == knob.flag) {
            space.insert(knob.flag.clone(), knob.values.clone());
        }
    }
    space
}

fn one_at_a_time(space: &Space) -> Vec<Change> {
    space
        .iter()
        .flat_map(|(flag, values)| {
            values
                .iter()
                .map(|value| Change::from([(flag.clone(), value.clone())]))
        })
        .collect()
}

/// The whole product, first flag slowest, cut at `most` combinations.
fn product(space: &Space, most: usize) -> Vec<Change> {
    let mut combinations = vec![Change::new()];
    for (flag, values) in space {
        combinations = combinations
            .iter()
            .flat_map(|base| {
                values.iter().map(move |value| {
                    let mut next = base.clone();
                    next.insert(flag.clone(), value.clone());
                    next
                })
            })
            .take(most)
            .collect();
    }
    combinations.retain(|change| !change.is_empty());
    combinations
}

fn changed(base: &Flags, change: &Change) -> Flags {
    let mut flags = base.clone();
    for (flag, value) in change {
        if value.is_null() {
            flags.shift_remove(flag);
        } else {
            flags.insert(flag.clone(), value.clone());
        }
    }
    flags
}

fn id_of(change: &Change) -> String {
    change
        .iter()
        .map(|(flag, value)| match value {
            Value::String(text) => format!("{flag}={text}"),
            other => format!("{flag}={other}"),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(tier: u8, most: u32) -> Plan {
        let value = json!({
            "model": {"name": "m"},
            "dataset": {},
            "search": {"tier": tier, "max_candidates_per_framework": most},
            "frameworks": {"sglang": {
                "base_server_flags": {"a": 1, "keep": true},
                "search_space": {"a": [1, 2, 3], "b": ["x", null]},
            }},
        });
        crate::bench::plan::from_value(&value).unwrap()
    }

    fn ids(tier: u8, most: u32) -> (Vec<String>, usize) {
        let plan = plan(tier, most);
        let found = candidates(&plan, "sglang", &plan.frameworks["sglang"]);
        (
            found.list.into_iter().map(|c| c.id).collect(),
            found.left_out,
        )
    }

    #[test]
    fn the_baseline_is_first_and_its_own_values_are_not_tried_again() {
        assert_eq!(ids(1, 9).0, ["base"]);
        assert_eq!(ids(2, 9).0, ["base", "a=2", "a=3", "b=x"]);
    }

    #[test]
    fn the_engines_own_knobs_follow_those_of_the_plan() {
        let mut plan = plan(2, 20);
        let framework = plan.frameworks.get_mut("sglang").unwrap();
        framework.default_search_space = true;
        framework.base_server_flags = Flags::new();
        framework.search_space =
            IndexMap::from([("schedule-conservativeness".to_owned(), vec![json!(0.5)])]);
        let found = candidates(&plan, "sglang", &plan.frameworks["sglang"]);
        let ids: Vec<&str> = found.list.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "base",
                "schedule-conservativeness=0.5",
                "chunked_prefill_size=4096",
                "chunked_prefill_size=16384",
                "enable_mixed_chunk=true",
            ]
        );
    }

    #[test]
    fn the_product_is_bounded_and_says_what_it_left_out() {
        let (list, left_out) = ids(3, 9);
        assert_eq!(
            list,
            [
                "base",
                "a=1,b=x",
                "a=2,b=x",
                "a=2,b=null",
                "a=3,b=x",
                "a=3,b=null"
            ]
        );
        assert_eq!(left_out, 0);
        assert_eq!(
            ids(3, 3),
            (vec!["base".into(), "a=1,b=x".into(), "a=2,b=x".into()], 3)
        );
    }
}
